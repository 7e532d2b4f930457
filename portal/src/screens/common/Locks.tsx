import { AddRegular, DeleteRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { armPath } from "../../api/arm";
import { pageOf, parseId, sameId } from "../../api/resourceId";
import { API } from "../../api/versions";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { List, type Column, type Picked } from "../../frames/List";
import { whole } from "../../frames/listSource";
import { soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import type { BladeProps } from "../../frames/ResourcePage";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { locksOver, type Lock } from "./locksOver";

const AddForm = soon(() => import("./LockForm"));

const levelText = (lock: Lock): string => (lock.properties?.["level"] === "ReadOnly" ? t.locks.readOnly : t.locks.delete);

export default function Locks({ id }: BladeProps) {
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Picked<Lock> | undefined>(undefined);
  const source = useMemo(() => whole(["locks", id.id.toLowerCase()], (signal) => locksOver(id.id, signal)), [id.id]);
  const columns = useMemo(
    (): Column<Lock>[] => [
      { id: "name", label: t.locks.name, text: (lock) => lock.name },
      { id: "level", label: t.locks.type, text: levelText },
      {
        id: "scope",
        label: t.refused.scope,
        text: (lock) => lock.scope,
        show: (lock) => (sameId(lock.scope, id.id) ? t.iam.here : <AppLink to={pageOf(lock.scope, "locks")}>{t.iam.inherited(parseId(lock.scope)?.name ?? "")}</AppLink>),
      },
      { id: "notes", label: t.locks.notes, text: (lock) => String(lock.properties?.["notes"] ?? "") },
    ],
    [id.id],
  );
  const need = (verb: string) => ({ action: `Microsoft.Authorization/locks/${verb}`, scope: id.id });
  const remove = () => {
    const steps = (removing?.rows ?? []).map((lock) => ({ title: t.locks.removePlan(lock.name), method: "DELETE" as const, path: armPath(lock.id, API.locks) }));
    deployments.start({ title: steps.length === 1 ? (steps[0]?.title ?? "") : t.locks.removeMany(steps.length), steps, independent: true });
    removing?.clear();
  };
  return (
    <>
      <p>{t.locks.text}</p>
      <List
        label={t.blades.locks}
        source={source}
        columns={columns}
        rowId={(lock) => lock.id}
        selectable
        fixed={(lock) => (sameId(lock.scope, id.id) ? undefined : t.iam.inheritedFixed(lock.name))}
        commands={(picked) => [
          { id: "add", label: t.locks.add, icon: <AddRegular />, needs: need("write"), onClick: () => setAdding(true) },
          { id: "remove", label: t.common.delete, icon: <DeleteRegular />, needs: need("delete"), off: picked.rows.length === 0 ? t.locks.markFirst : undefined, onClick: () => setRemoving(picked) },
        ]}
        empty={t.locks.empty}
      />
      <AddLock id={id.id} open={adding} onClose={() => setAdding(false)} />
      <Confirm open={removing !== undefined} title={t.locks.removeTitle} action={t.common.delete} onConfirm={remove} onClose={() => setRemoving(undefined)}>
        {removing?.rows.map((lock) => lock.name).join(", ")}
      </Confirm>
    </>
  );
}

function AddLock({ id, open, onClose }: { id: string; open: boolean; onClose: () => void }) {
  return (
    <Pane open={open} title={t.locks.addTitle} onClose={onClose}>
      <AddForm id={id} onClose={onClose} />
    </Pane>
  );
}
