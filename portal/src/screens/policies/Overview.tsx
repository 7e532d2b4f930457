import { Spinner } from "@fluentui/react-components";
import { ArrowDownloadRegular, ArrowSyncRegular, DeleteRegular } from "@fluentui/react-icons";
import { Suspense, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { armPath } from "../../api/arm";
import { pageOf, splitId } from "../../api/resourceId";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { soon } from "../../frames/later";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { useChain } from "../certificates/useChain";
import { useStandings } from "../namespaces/facts";
import { Hubs } from "./Hubs";
import { certificateOf, daysOf, keyText, statusOf, subjectOf } from "./policy";
import { SyncDialog } from "./SyncDialog";

const Inventory = soon(async () => ({ default: (await import("../certificates/Inventory")).Inventory }));
const Enrollments = soon(async () => ({ default: (await import("./Enrollments")).Enrollments }));

const TABS = ["hubs", "enrollments", "certificates"] as const;

/** A policy: read only, as in Azure; where it stands on each hub. */
export default function Overview({ id, resource }: BladeProps) {
  const navigate = useNavigate();
  const [syncing, setSyncing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [params, setParams] = useSearchParams();
  const tab = TABS.find((each) => each === params.get("tab")) ?? "hubs";
  const chain = useChain();
  const namespace = splitId(id.id.replace(/\/credentials\/default\/policies\/[^/]+$/i, ""))?.id;
  const standings = useStandings(namespace?.id ?? "");
  const mine = (standings.data ?? []).filter((standing) => standing.policy.toLowerCase() === id.name.toLowerCase());
  if (!namespace) return null;
  const authority = resource && certificateOf(resource).certificateAuthorityConfiguration;
  const destroy = () => {
    const title = t.policies.deletePlan(id.name);
    deployments.start({ title, steps: [{ title, method: "DELETE", path: armPath(id.id) }] });
    void navigate(pageOf(namespace.id, "policies"));
  };
  const need = (action: string) => ({ action: `Microsoft.DeviceRegistry/namespaces/${action}`, scope: namespace.id });
  return (
    <>
      <CommandBar
        commands={[
          { id: "sync", label: t.policies.sync, icon: <ArrowSyncRegular />, needs: need("credentials/synchronize/action"), onClick: () => setSyncing(true) },
          { id: "pem", label: t.policies.downloadCa, icon: <ArrowDownloadRegular />, onClick: () => chain.save(`${id.id}/certificateChain`, `${namespace.name}-${id.name}-ca`) },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: { action: "Microsoft.DeviceRegistry/namespaces/credentials/policies/delete", scope: id.id }, onClick: () => setDeleting(true) },
        ]}
      />
      {chain.note}
      <Essentials
        facts={[
          { label: t.columns.name, value: id.name },
          { label: t.policies.days, value: resource && String(daysOf(resource) ?? "") },
          { label: t.policies.status, value: resource && statusOf(resource) },
          { label: t.policies.keyType, value: resource && keyText(authority?.keyType) },
          { label: t.policies.subject, value: resource && subjectOf(resource) },
          { label: t.policies.validFrom, value: authority?.validityNotBefore },
          { label: t.policies.validTo, value: authority?.validityNotAfter },
          { label: t.policies.thumbprint, value: mine[0]?.thumbprint },
          { label: t.policies.namespace, value: namespace.name, to: pageOf(namespace.id) },
        ]}
      />
      <p>{t.policies.readOnly}</p>
      <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ tab: data.value })}>
        {TABS.map((each) => (
          <Tab key={each} value={each}>
            {t.policies[each]}
          </Tab>
        ))}
      </TabList>
      <Suspense fallback={<Spinner label={t.common.loading} />}>
        {tab === "hubs" && <Hubs namespace={namespace} policy={id.name} />}
        {tab === "enrollments" && <Enrollments namespace={namespace} policy={id.name} />}
        {tab === "certificates" && <Inventory namespace={namespace.id} policy={id.name} />}
      </Suspense>
      <SyncDialog namespace={namespace} policies={syncing ? [id.name] : undefined} standings={standings} onClose={() => setSyncing(false)} />
      <Confirm open={deleting} title={t.policies.deleteTitle} action={t.common.delete} onConfirm={destroy} onClose={() => setDeleting(false)}>
        {t.policies.deleteText}
      </Confirm>
    </>
  );
}
