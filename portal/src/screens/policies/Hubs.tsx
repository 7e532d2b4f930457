import { ArrowSyncRegular } from "@fluentui/react-icons";
import { useMemo } from "react";
import { pageOf, type ResourceId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { t } from "../../texts";
import { readStandings, type Standing } from "../namespaces/facts";
import { synchronize } from "./SyncDialog";

const COLUMNS: Column<Standing>[] = [
  { id: "hub", label: t.policies.hub, text: (row) => row.hub, show: (row) => <AppLink to={pageOf(row.hubResourceId)}>{row.hub}</AppLink> },
  { id: "state", label: t.policies.status, text: (row) => t.policies.states[row.state] },
  { id: "at", label: t.policies.lastAttempt, text: (row) => (row.lastAttempt ? new Date(row.lastAttempt).toLocaleString() : "") },
  { id: "why", label: t.policies.why, text: (row) => (row.error ? `${row.error.code}: ${row.error.message}` : "") },
];
const STATES = [{ id: "state", label: t.policies.status, choices: Object.values(t.policies.states).map((label) => ({ value: label, label })), value: (row: Standing) => t.policies.states[row.state] }];

/** Where a policy stands on each hub of its namespace. */
export function Hubs({ namespace, policy }: { namespace: ResourceId; policy: string }) {
  const source = useMemo(
    () =>
      whole(["policy-hubs", namespace.id.toLowerCase(), policy], async (signal) => {
        const all = await readStandings(namespace.id, signal);
        return all.filter((standing) => standing.policy.toLowerCase() === policy.toLowerCase());
      }),
    [namespace.id, policy],
  );
  return (
    <List
      label={t.policies.hubs}
      source={source}
      columns={COLUMNS}
      facets={STATES}
      rowId={(row) => row.hubResourceId}
      selectable
      commands={(picked) => [
        {
          id: "retry",
          label: t.policies.retry,
          icon: <ArrowSyncRegular />,
          needs: { action: "Microsoft.DeviceRegistry/namespaces/credentials/synchronize/action", scope: namespace.id },
          off: picked.rows.length === 0 ? t.policies.markHubs : undefined,
          onClick: () => (synchronize(namespace, [policy], picked.rows.map((row) => row.hub)), picked.clear()),
        },
      ]}
      empty={t.policies.noHubs}
    />
  );
}
