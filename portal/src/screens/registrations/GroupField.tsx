import { useQuery } from "@tanstack/react-query";
import type { Whole } from "../../api/pager";
import { enrollmentId, queryEnrollments, readEnrollment, type Enrollment } from "../../api/provisioningData";
import { ChoiceField } from "../../frames/ChoiceField";
import { exactFinder } from "../../frames/finders";
import { t } from "../../texts";

/** Groups that are offered for choosing; the search of the list finds every registration without one. */
const GROUPS = 200;

/** As many groups as are offered, and whether there are others. */
async function groupsOf(host: string, signal: AbortSignal): Promise<Whole<Enrollment>> {
  const page = await queryEnrollments(host, "group", GROUPS, undefined, signal);
  return { rows: page.rows, more: page.next !== undefined };
}

const choiceOf = (group: Enrollment) => ({ value: enrollmentId(group), label: enrollmentId(group) });

/** The group whose registrations are listed. */
export default function GroupField({ host, group, onChange }: { host: string; group: string; onChange: (wanted: string) => void }) {
  const groups = useQuery({ queryKey: ["groups-of", host], queryFn: ({ signal }) => groupsOf(host, signal) });
  const known = (groups.data?.rows ?? []).map(choiceOf);
  const finder = exactFinder(["enrollment-groups", host], async (text, signal) => choiceOf(await readEnrollment(host, "group", text, signal)));
  return <ChoiceField label={t.registrations.group} value={group || undefined} choices={known} of={groups} finder={finder} onChange={onChange} />;
}
