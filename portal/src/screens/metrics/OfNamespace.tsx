import { Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { armPath } from "../../api/arm";
import { readAll } from "../../api/pager";
import { Bars } from "../../frames/Bars";
import { Loaded } from "../../frames/Loaded";
import type { BladeProps } from "../../frames/ResourcePage";
import { t } from "../../texts";
import { countBy } from "../explorer/results";

interface Ending {
  properties: { validityNotAfter: string; issued: string };
}

/** When the certificates of a namespace end, and when devices got theirs. */
export default function OfNamespace({ id }: BladeProps) {
  const found = useQuery({
    queryKey: ["ending-all", id.id.toLowerCase()],
    queryFn: ({ signal }) => readAll<Ending>(armPath(`${id.id}/certificates`, undefined, { state: "Active" }), "arm", signal),
    staleTime: 60_000,
  });
  return (
    <Loaded of={found}>
      {({ rows, more }) => (
        <>
          {more && <Text block>{t.metrics.expiryMore(rows.length)}</Text>}
          <Text as="h2" size={400} weight="semibold" block>
            {t.metrics.expiry}
          </Text>
          <Bars label={t.metrics.expiry} bars={countBy(rows.map((row) => row.properties.validityNotAfter), 7)} />
          <Text as="h2" size={400} weight="semibold" block>
            {t.metrics.registrations}
          </Text>
          <Bars label={t.metrics.registrations} bars={countBy(rows.map((row) => row.properties.issued), 10)} />
        </>
      )}
    </Loaded>
  );
}
