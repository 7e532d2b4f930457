import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import type { Whole } from "../../api/pager";
import { enrollmentId, queryEnrollments, readEnrollment, type Enrollment } from "../../api/provisioningData";
import { ChoiceField } from "../../frames/ChoiceField";
import { exactFinder } from "../../frames/finders";
import type { BladeProps } from "../../frames/ResourcePage";
import { t } from "../../texts";
import { serviceHost } from "../provisioning/host";
import { Registrations } from "./Registrations";

/** Groups that are offered for choosing; the search of the list finds every registration without one. */
const GROUPS = 200;

/** As many groups as are offered, and whether there are others. */
async function groupsOf(host: string, signal: AbortSignal): Promise<Whole<Enrollment>> {
  const page = await queryEnrollments(host, "group", GROUPS, undefined, signal);
  return { rows: page.rows, more: page.next !== undefined };
}

const choiceOf = (group: Enrollment) => ({ value: enrollmentId(group), label: enrollmentId(group) });

/** What registered with the service: by group, or by id. */
export default function Blade({ id, resource }: BladeProps) {
  const [params, setParams] = useSearchParams();
  const group = params.get("group") ?? "";
  const host = serviceHost(resource);
  const groups = useQuery({ queryKey: ["groups-of", host], queryFn: ({ signal }) => groupsOf(host, signal), enabled: host !== "" });
  const known = (groups.data?.rows ?? []).map(choiceOf);
  if (host === "") return null;
  return (
    <>
      <ChoiceField label={t.registrations.group} value={group || undefined} choices={known} of={groups} finder={exactFinder(["enrollment-groups", host], async (text, signal) => choiceOf(await readEnrollment(host, "group", text, signal)))} onChange={(wanted) => setParams({ group: wanted })} />
      <Registrations key={group} id={id} host={host} {...(group ? { group } : {})} />
    </>
  );
}
