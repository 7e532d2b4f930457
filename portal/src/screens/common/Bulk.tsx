/** What is done with many resources at once: tags and deletion, each resource with its own result. */

import { DeleteRegular, TagMultipleRegular } from "@fluentui/react-icons";
import { lazy, useState } from "react";
import { armPath } from "../../api/arm";
import type { Command } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import type { Picked } from "../../frames/List";
import { Pane } from "../../frames/Pane";
import { forgetRecent } from "../../shell/recent";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";

const AssignTags = lazy(() => import("./AssignTags"));

export interface Target {
  id: string;
  name: string;
}

/** Two commands for a list of resources, and the element with their dialogs. */
export function useBulk(): { commands: (picked: Picked<Target>) => Command[]; dialogs: React.ReactNode } {
  const [tagging, setTagging] = useState<Target[]>([]);
  const [deleting, setDeleting] = useState<Picked<Target> | undefined>(undefined);
  const commands = (picked: Picked<Target>): Command[] => {
    const off = picked.rows.length === 0 ? t.bulk.markFirst : undefined;
    return [
      { id: "tags", label: t.bulk.tags, icon: <TagMultipleRegular />, off, onClick: () => setTagging(picked.rows) },
      { id: "delete", label: t.common.delete, icon: <DeleteRegular />, off, onClick: () => setDeleting(picked) },
    ];
  };
  const remove = () => {
    const rows = deleting?.rows ?? [];
    for (const row of rows) forgetRecent(row.id);
    deployments.start({
      title: t.bulk.deletePlan(rows.length),
      independent: true,
      steps: rows.map((row) => ({ title: t.bulk.deleteStep(row.name), method: "DELETE" as const, path: armPath(row.id) })),
    });
    deleting?.clear();
  };
  const dialogs = (
    <>
      <Pane open={tagging.length > 0} title={t.bulk.tags} onClose={() => setTagging([])}>
        <AssignTags targets={tagging} onDone={() => setTagging([])} />
      </Pane>
      <Confirm open={deleting !== undefined} title={t.bulk.deletePlan(deleting?.rows.length ?? 0)} action={t.common.delete} name={t.bulk.word} onConfirm={remove} onClose={() => setDeleting(undefined)}>
        <p>{t.bulk.deleteText}</p>
        <ul>
          {deleting?.rows.map((row) => (
            <li key={row.id}>{row.name}</li>
          ))}
        </ul>
      </Confirm>
    </>
  );
  return { commands, dialogs };
}
