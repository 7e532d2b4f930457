import { DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { armPath } from "../../api/arm";
import { quote } from "../../api/graphQuery";
import { groupId, pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { List } from "../../frames/List";
import type { BladeProps } from "../../frames/ResourcePage";
import { HUB, NAMESPACE, PROVISIONING } from "../../resources";
import { forgetRecent } from "../../shell/recent";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { lockedBy, useLocks } from "../common/locksOver";
import { nameColumn, placeColumns, rowId, typeColumn, typeSource } from "../common/columns";

const COLUMNS = [nameColumn, typeColumn, ...placeColumns];

export default function Overview({ id, resource }: BladeProps) {
  const navigate = useNavigate();
  const [deleting, setDeleting] = useState(false);
  const locks = useLocks(id.id);
  const principal = String(resource?.properties?.["principalId"] ?? "");
  const source = useMemo(() => typeSource([NAMESPACE, HUB, PROVISIONING], {}, ` | where tostring(identity) contains ${quote(`${id.id}"`)}`), [id.id]);
  const destroy = () => {
    forgetRecent(id.id);
    const title = t.identities.deletePlan(id.name);
    deployments.start({ title, steps: [{ title, method: "DELETE", path: armPath(id.id) }] });
    void navigate("/identities");
  };
  return (
    <>
      <CommandBar commands={[{ id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: { action: "Microsoft.ManagedIdentity/userAssignedIdentities/delete", scope: id.id }, off: lockedBy(locks.data), onClick: () => setDeleting(true) }]} />
      <Essentials
        facts={[
          { label: t.columns.group, value: id.group, to: pageOf(groupId(id.subscription ?? "", id.group ?? "")) },
          { label: t.columns.location, value: resource?.location },
          { label: t.identities.clientId, value: String(resource?.properties?.["clientId"] ?? "") },
          { label: t.namespaces.objectId, value: principal },
          { label: t.namespaces.roles, value: undefined, show: <AppLink to={`${pageOf(`/subscriptions/${id.subscription}`, "iam")}?tab=assignments&filter=${principal}`}>{t.namespaces.roles}</AppLink> },
        ]}
      />
      <h2>{t.identities.associated}</h2>
      <List label={t.identities.associated} source={source} columns={COLUMNS} rowId={rowId} empty={t.identities.noAssociated} />
      <Confirm open={deleting} title={t.identities.deletePlan(id.name)} action={t.common.delete} onConfirm={destroy} onClose={() => setDeleting(false)}>
        {t.identities.deleteText}
      </Confirm>
    </>
  );
}
