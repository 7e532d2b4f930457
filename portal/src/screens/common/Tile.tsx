import { makeStyles, Text } from "@fluentui/react-components";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { AppLink } from "../../frames/AppLink";
import { Box } from "../../frames/Box";
import { Failure } from "../../frames/Failure";

const useStyles = makeStyles({
  tiles: { display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(220px, 1fr))", gap: "12px" },
  number: { fontSize: "28px", lineHeight: "36px" },
});

export function Tiles({ children }: { children: ReactNode }) {
  return <div className={useStyles().tiles}>{children}</div>;
}

/** A number of a resource, or why it could not be read. */
export function Tile({ of, label, number, to, children }: { of: UseQueryResult<unknown>; label: string; number: number | string | undefined; to?: string; children?: ReactNode }) {
  const styles = useStyles();
  return (
    <Box name={label}>
      <Text weight="semibold">{to ? <AppLink to={to}>{label}</AppLink> : label}</Text>
      <Text className={styles.number}>{number ?? "–"}</Text>
      {of.error && <Failure fault={of.error} retry={() => void of.refetch()} />}
      {children}
    </Box>
  );
}
