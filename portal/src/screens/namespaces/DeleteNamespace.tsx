import { useNavigate } from "react-router";
import { armPath } from "../../api/arm";
import { pageOf, type ResourceId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Confirm } from "../../frames/Confirm";
import { useResources } from "../../frames/load";
import { Loaded } from "../../frames/Loaded";
import { infoOf } from "../../resources";
import { forgetRecent } from "../../shell/recent";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { useDeviceCount, useHolders } from "./facts";

/** Deleting a namespace: what holds it is told before, and nothing can be pressed then; nor before it is known what goes. */
export function DeleteNamespace({ id, open, onClose }: { id: ResourceId; open: boolean; onClose: () => void }) {
  const navigate = useNavigate();
  const holders = useHolders(id.id);
  const policies = useResources(open ? `${id.id}/credentials/default/policies` : undefined);
  const devices = useDeviceCount(id.id);
  const held = (holders.data?.length ?? 0) > 0;
  const destroy = () => {
    forgetRecent(id.id);
    const title = t.namespaces.deletePlan(id.name);
    const deployment = deployments.start({ title, steps: [{ title, method: "DELETE", path: armPath(id.id) }], target: "/namespaces" });
    void navigate(`/deployments/${deployment}`);
  };
  return (
    <Confirm
      open={open}
      title={t.namespaces.deleteTitle(id.name)}
      action={t.common.delete}
      name={id.name}
      blocked={held || [holders, policies, devices].some((of) => of.data === undefined)}
      onConfirm={destroy}
      onClose={onClose}
    >
      <Loaded of={holders}>
        {(rows) =>
          rows.length > 0 ? (
            <>
              <p>{t.namespaces.heldBy}</p>
              <ul>
                {rows.map((row) => (
                  <li key={row.id}>
                    <AppLink to={pageOf(row.id)} onFollowed={onClose}>
                      {row.name}
                    </AppLink>{" "}
                    ({infoOf(row.type)?.one ?? row.type}): {t.namespaces.holds}
                  </li>
                ))}
              </ul>
            </>
          ) : (
            <>
              <p>{t.namespaces.deleteText}</p>
              <ul>
                <li>
                  <Loaded of={policies}>{(gone) => t.namespaces.goPolicies(gone.rows.map((each) => each.name), gone.more)}</Loaded>
                </li>
                <li>
                  <Loaded of={devices}>{(count) => t.namespaces.goDevices(count)}</Loaded>
                </li>
              </ul>
            </>
          )
        }
      </Loaded>
    </Confirm>
  );
}
