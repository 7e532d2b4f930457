/** CA certificates of a hub or a provisioning service: the list, adding one, proving that its key is one's own. */

import { AddRegular, ArrowDownloadRegular, DeleteRegular, ShieldCheckmarkRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { armPath, type Resource } from "../../api/arm";
import { readAll } from "../../api/pager";
import { pageOf, parseId } from "../../api/resourceId";
import { pem } from "../../certificateFile";
import { download } from "../../csv";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { List, type Column } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { later, soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { VerifyProps } from "./VerifyPane";

const VerifyPane = later<VerifyProps>(() => import("./VerifyPane"));
const AddForm = soon(() => import("./CaCertificateForm"));

const text = (row: Resource, name: string): string => String(row.properties?.[name] ?? "");
const policyOf = (row: Resource): string => text(row, "policyResourceId");

const COLUMNS: Column<Resource>[] = [
  { id: "name", label: t.columns.name, text: (row) => row.name },
  { id: "status", label: t.caCertificates.status, text: (row) => (row.properties?.["isVerified"] === true ? t.caCertificates.isVerified : t.caCertificates.unverified) },
  { id: "subject", label: t.caCertificates.subject, text: (row) => text(row, "subject") },
  { id: "thumbprint", label: t.caCertificates.thumbprint, text: (row) => text(row, "thumbprint") },
  { id: "expires", label: t.caCertificates.expires, text: (row) => dayOf(text(row, "expiry")) },
  {
    id: "policy",
    label: t.caCertificates.policy,
    text: (row) => parseId(policyOf(row))?.name ?? "",
    show: (row) => (policyOf(row) ? <AppLink to={pageOf(policyOf(row))}>{parseId(policyOf(row))?.name ?? policyOf(row)}</AppLink> : ""),
  },
  { id: "created", label: t.caCertificates.created, text: (row) => dayOf(text(row, "created")), hidden: true },
];

/** A day that sorts as text; what is no time stays as it is. */
export function dayOf(time: string): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : date.toISOString().slice(0, 10);
}

export default function CaCertificates({ id }: BladeProps) {
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Resource[]>([]);
  const [verifying, setVerifying] = useState<Resource | undefined>(undefined);
  const path = `${id.id}/certificates`;
  const source = useMemo(() => whole(["ca-certificates", path.toLowerCase()], (signal) => readAll<Resource>(armPath(path), "arm", signal)), [path]);
  const need = (word: string) => ({ action: `${id.type}/certificates/${word}`, scope: id.id });
  const remove = () => {
    const steps = removing.map((row) => ({ title: t.caCertificates.deletePlan(row.name), method: "DELETE" as const, path: armPath(row.id), headers: { "If-Match": `"${row.etag ?? "*"}"` } }));
    deployments.start({ title: steps.length === 1 ? (steps[0]?.title ?? "") : t.caCertificates.deleteMany(steps.length), steps, independent: true });
  };
  return (
    <>
      <List
        label={t.plantBlades.certificates}
        source={source}
        columns={COLUMNS}
        rowId={(row) => row.id}
        selectable
        commands={(picked) => {
          const one = picked.rows.length === 1 ? picked.rows[0] : undefined;
          return [
            { id: "add", label: t.caCertificates.upload, icon: <AddRegular />, needs: need("write"), onClick: () => setAdding(true) },
            { id: "verify", label: t.caCertificates.verify, icon: <ShieldCheckmarkRegular />, needs: need("generateVerificationCode/action"), off: one ? undefined : t.hubs.markFirst, onClick: () => setVerifying(one) },
            {
              id: "download",
              label: t.caCertificates.download,
              icon: <ArrowDownloadRegular />,
              off: one ? undefined : t.hubs.markFirst,
              onClick: () => one && download(`${one.name}.pem`, pem(text(one, "certificate")), "application/x-pem-file"),
            },
            { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: need("delete"), off: picked.rows.length === 0 ? t.hubs.markFirst : undefined, onClick: () => setRemoving(picked.rows) },
          ];
        }}
        empty={t.caCertificates.empty}
      />
      <Pane open={adding} title={t.caCertificates.uploadTitle} onClose={() => setAdding(false)}>
        <AddForm id={id} onDone={() => setAdding(false)} />
      </Pane>
      <VerifyPane open={verifying !== undefined} certificate={verifying} onClose={() => setVerifying(undefined)} />
      <Confirm open={removing.length > 0} title={t.caCertificates.deleteMany(removing.length)} action={t.common.delete} onConfirm={remove} onClose={() => setRemoving([])}>
        <p>{t.caCertificates.deleteText}</p>
        <ul>
          {removing.map((row) => (
            <li key={row.id}>{row.name}</li>
          ))}
        </ul>
      </Confirm>
    </>
  );
}
