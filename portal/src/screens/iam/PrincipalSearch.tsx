import { Button, makeStyles, SearchBox, Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { searchPrincipals, type Principal } from "../../api/directory";
import { useRested } from "../../frames/checks";
import { Failure } from "../../frames/Failure";
import { t } from "../../texts";
import { cutText } from "../../wellFormed";

const useStyles = makeStyles({
  list: { listStyleType: "none", padding: 0, margin: "8px 0", display: "grid", gap: "2px" },
  hit: { justifyContent: "flex-start", width: "100%", textAlign: "left" },
  search: { width: "100%", maxWidth: "480px" },
});

/** Kind of a principal in words. */
export function kindText(principal: Principal): string {
  if (principal.servicePrincipalType === "ManagedIdentity") return t.iam.kinds.identity;
  return principal.kind === "User" ? t.iam.kinds.user : principal.kind === "Group" ? t.iam.kinds.group : t.iam.kinds.service;
}

/** Finds users, groups and service principals by name, mail, app id or object id. */
export function PrincipalSearch({ onChosen, chosen = [] }: { onChosen: (principal: Principal) => void; chosen?: string[] }) {
  const styles = useStyles();
  const [text, setText] = useState("");
  const rested = useRested(text.trim());
  const found = useQuery({ queryKey: ["principals", rested], queryFn: ({ signal }) => searchPrincipals(rested, signal), enabled: rested !== "" });
  const { rows: hits, more } = (rested === "" ? undefined : found.data) ?? { rows: [], more: false };
  return (
    <div>
      <SearchBox className={styles.search} value={text} placeholder={t.iam.select} aria-label={t.iam.select} onChange={(_, data) => setText(cutText(data.value, 200))} />
      {found.error && <Failure fault={found.error} retry={() => void found.refetch()} />}
      <Text role="status" size={200} block>
        {rested === "" ? t.iam.selectHint : found.isFetching ? t.common.loading : more ? t.iam.hitsMore(hits.length) : t.iam.hits(hits.length)}
      </Text>
      <ul className={styles.list}>
        {hits.map((principal) => (
          <li key={principal.id}>
            <Button className={styles.hit} appearance="subtle" disabledFocusable={chosen.includes(principal.id)} onClick={() => onChosen(principal)}>
              {`${principal.displayName} (${[kindText(principal), principal.second].filter(Boolean).join(", ")})`}
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}
