import { useMemo } from "react";
import { subscriptions, type Subscription } from "../../api/arm";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { List as ListFrame, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { Page } from "../../frames/Page";
import { t } from "../../texts";

const COLUMNS: Column<Subscription>[] = [
  { id: "name", label: t.columns.name, text: (row) => row.displayName, show: (row) => <AppLink to={pageOf(row.id)}>{row.displayName}</AppLink> },
  { id: "id", label: t.groups.subscriptionId, text: (row) => row.subscriptionId },
  { id: "state", label: t.policies.status, text: (row) => row.state ?? "" },
  { id: "tenant", label: t.subscriptions.tenant, text: (row) => row.tenantId ?? "" },
];

export default function List() {
  const source = useMemo(() => whole(["subscriptions"], () => subscriptions()), []);
  return (
    <Page title={t.subscriptions.title}>
      <ListFrame label={t.subscriptions.title} source={source} columns={COLUMNS} rowId={(row) => row.id} empty={t.subscriptions.empty} />
    </Page>
  );
}
