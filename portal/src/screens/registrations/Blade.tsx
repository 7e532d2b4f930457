import { makeStyles } from "@fluentui/react-components";
import { Suspense } from "react";
import { useSearchParams } from "react-router";
import { soon } from "../../frames/later";
import type { BladeProps } from "../../frames/ResourcePage";
import { serviceHost } from "../provisioning/host";
import { Registrations } from "./Registrations";

const GroupField = soon(() => import("./GroupField"));

// As high as the field, so that nothing moves when it comes.
const useStyles = makeStyles({ field: { minHeight: "70px" } });

/** What registered with the service: by group, or by id. */
export default function Blade({ id, resource }: BladeProps) {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const group = params.get("group") ?? "";
  const host = serviceHost(resource);
  if (host === "") return null;
  return (
    <>
      <div className={styles.field}>
        <Suspense fallback={null}>
          <GroupField host={host} group={group} onChange={(wanted) => setParams({ group: wanted })} />
        </Suspense>
      </div>
      <Registrations key={group} id={id} host={host} {...(group ? { group } : {})} />
    </>
  );
}
