import { DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { registrationPath, type Registration } from "../../api/provisioningData";
import type { ResourceId } from "../../api/resourceId";
import { Confirm } from "../../frames/Confirm";
import { List, type Column } from "../../frames/List";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { registrationSource } from "./source";

const time = (text: string | undefined) => (text ? new Date(text).toLocaleString() : "");

const COLUMNS: Column<Registration>[] = [
  { id: "id", label: t.registrations.id, text: (row: Registration) => row.registrationId },
  { id: "device", label: t.registrations.device, text: (row: Registration) => row.deviceId ?? "" },
  { id: "hub", label: t.registrations.hub, text: (row: Registration) => row.assignedHub ?? "" },
  { id: "status", label: t.registrations.status, text: (row: Registration) => row.status },
  { id: "substatus", label: t.registrations.substatus, text: (row: Registration) => row.substatus ?? "", hidden: true },
  { id: "created", label: t.registrations.created, text: (row: Registration) => time(row.createdDateTimeUtc) },
  { id: "updated", label: t.registrations.updated, text: (row: Registration) => time(row.lastUpdatedDateTimeUtc) },
  { id: "error", label: t.registrations.error, text: (row: Registration) => row.errorMessage ?? "" },
].map((column) => ({ ...column, unsorted: true }));

export function Registrations({ id, host, group, one }: { id: ResourceId; host: string; group?: string; one?: string }) {
  const [removing, setRemoving] = useState<Registration[]>([]);
  const source = useMemo(() => registrationSource(host, group, one), [host, group, one]);
  const remove = () => {
    const steps = removing.map((row) => ({
      title: t.registrations.deletePlan(row.registrationId),
      method: "DELETE" as const,
      path: registrationPath(host, row.registrationId),
      audience: "dps" as const,
      headers: { "If-Match": `"${row.etag ?? "*"}"` },
    }));
    deployments.start({ title: steps.length === 1 ? (steps[0]?.title ?? "") : t.registrations.deleteMany(steps.length), steps, independent: true });
  };
  return (
    <>
      <List
        label={t.enrollments.records}
        source={source}
        columns={COLUMNS}
        rowId={(row) => row.registrationId}
        selectable
        searchable={one === undefined}
        finds={t.registrations.find}
        commands={(picked) => [
          {
            id: "delete",
            label: t.common.delete,
            icon: <DeleteRegular />,
            needs: { action: "Microsoft.Devices/provisioningServices/registrationStates/delete", scope: id.id, data: true },
            off: picked.rows.length === 0 ? t.hubs.markFirst : undefined,
            onClick: () => setRemoving(picked.rows),
          },
        ]}
        empty={group || one ? t.registrations.empty : t.registrations.chooseGroup}
      />
      <Confirm open={removing.length > 0} title={t.registrations.deleteMany(removing.length)} action={t.common.delete} onConfirm={remove} onClose={() => setRemoving([])}>
        <p>{t.registrations.deleteText}</p>
        <ul>
          {removing.map((row) => (
            <li key={row.registrationId}>{row.registrationId}</li>
          ))}
        </ul>
      </Confirm>
    </>
  );
}
