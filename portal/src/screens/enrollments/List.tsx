import { AddRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { enrollmentId, enrollmentPath, type Enrollment, type Kind } from "../../api/provisioningData";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { List as ListFrame, type Column } from "../../frames/List";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { serviceHost } from "../provisioning/host";
import { mechanismOf } from "./mechanism";
import { enrollmentPage } from "./paths";
import { enrollmentSource } from "./source";

/** **Manage enrollments**: groups and individual ones, page by page as the service gives them. */
export default function List({ id, resource }: BladeProps) {
  const [params, setParams] = useSearchParams();
  const kind: Kind = params.get("kind") === "individual" ? "individual" : "group";
  const host = serviceHost(resource);
  return (
    <>
      <TabList selectedValue={kind} onTabSelect={(_, data) => setParams({ kind: data.value })}>
        <Tab value="group">{t.enrollments.groups}</Tab>
        <Tab value="individual">{t.enrollments.individuals}</Tab>
      </TabList>
      {host !== "" && <Enrollments key={kind} id={id} host={host} kind={kind} />}
    </>
  );
}

function columnsOf(id: string, kind: Kind): Column<Enrollment>[] {
  const columns: Column<Enrollment>[] = [
    { id: "name", label: t.enrollments.name, text: enrollmentId, show: (row) => <AppLink to={enrollmentPage(id, kind, enrollmentId(row))}>{enrollmentId(row)}</AppLink> },
    { id: "attestation", label: t.enrollments.attestation, text: (row) => t.enrollments.mechanisms[mechanismOf(row.attestation)] ?? "" },
    { id: "status", label: t.enrollments.status, text: (row) => (row.provisioningStatus === "disabled" ? t.enrollments.disabled : t.enrollments.enabled) },
    { id: "policy", label: t.enrollments.policy, text: (row) => row.credentialPolicyName ?? "" },
    { id: "allocation", label: t.enrollments.allocation, text: (row) => (row.allocationPolicy ? (t.enrollments.allocations[row.allocationPolicy] ?? row.allocationPolicy) : t.enrollments.serviceAllocation) },
    { id: "updated", label: t.enrollments.updated, text: (row) => (row.lastUpdatedDateTimeUtc ? new Date(row.lastUpdatedDateTimeUtc).toLocaleString() : "") },
  ];
  if (kind === "individual") columns.push({ id: "registration", label: t.enrollments.registration, text: (row) => row.registrationState?.status ?? "" });
  return columns.map((column) => ({ ...column, unsorted: true }));
}

function Enrollments({ id, host, kind }: { id: BladeProps["id"]; host: string; kind: Kind }) {
  const navigate = useNavigate();
  const [removing, setRemoving] = useState<Enrollment[]>([]);
  const source = useMemo(() => enrollmentSource(host, kind), [host, kind]);
  const columns = useMemo(() => columnsOf(id.id, kind), [id.id, kind]);
  const group = kind === "group";
  const remove = () => {
    const steps = removing.map((row) => ({
      title: t.enrollments.deletePlan(enrollmentId(row)),
      method: "DELETE" as const,
      path: enrollmentPath(host, kind, enrollmentId(row)),
      audience: "dps" as const,
      headers: { "If-Match": `"${row.etag ?? "*"}"` },
    }));
    deployments.start({ title: steps.length === 1 ? (steps[0]?.title ?? "") : t.enrollments.deleteMany(steps.length), steps, independent: true });
  };
  const need = (word: string) => ({ action: `Microsoft.Devices/provisioningServices/${group ? "enrollmentGroups" : "enrollments"}/${word}`, scope: id.id, data: true });
  return (
    <>
      <ListFrame
        label={group ? t.enrollments.groups : t.enrollments.individuals}
        finds={t.enrollments.find}
        source={source}
        columns={columns}
        rowId={enrollmentId}
        selectable
        commands={(picked) => [
          { id: "add", label: group ? t.enrollments.addGroup : t.enrollments.addIndividual, icon: <AddRegular />, needs: need("write"), onClick: () => void navigate(enrollmentPage(id.id, kind)) },
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: need("delete"), off: picked.rows.length === 0 ? t.hubs.markFirst : undefined, onClick: () => setRemoving(picked.rows) },
        ]}
        empty={group ? t.enrollments.emptyGroups : t.enrollments.emptyIndividuals}
      />
      <Confirm open={removing.length > 0} title={t.enrollments.deleteMany(removing.length)} action={t.common.delete} onConfirm={remove} onClose={() => setRemoving([])}>
        <p>{t.enrollments.deleteText}</p>
        <ul>
          {removing.map((row) => (
            <li key={enrollmentId(row)}>{enrollmentId(row)}</li>
          ))}
        </ul>
      </Confirm>
    </>
  );
}
