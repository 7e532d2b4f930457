import type { ReactNode } from "react";
import { useNavigate } from "react-router";
import { armPath } from "../../api/arm";
import type { ResourceId } from "../../api/resourceId";
import { Confirm } from "../../frames/Confirm";
import { infoOf } from "../../resources";
import { forgetRecent } from "../../shell/recent";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";

/** Asks for the name, deletes the resource, and shows how far that is. */
export function DeleteResource({ id, open, title, onClose, children }: { id: ResourceId; open: boolean; title: string; onClose: () => void; children: ReactNode }) {
  const navigate = useNavigate();
  const destroy = () => {
    forgetRecent(id.id);
    const deployment = deployments.start({ title, steps: [{ title, method: "DELETE", path: armPath(id.id) }], target: infoOf(id.type)?.list });
    void navigate(`/deployments/${deployment}`);
  };
  return (
    <Confirm open={open} title={title} action={t.common.delete} name={id.name} onConfirm={destroy} onClose={onClose}>
      {children}
    </Confirm>
  );
}
