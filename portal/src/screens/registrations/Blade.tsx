import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { enrollmentId, queryEnrollments } from "../../api/provisioningData";
import { ChoiceField } from "../../frames/Fields";
import type { BladeProps } from "../../frames/ResourcePage";
import { t } from "../../texts";
import { serviceHost } from "../provisioning/service";
import { Registrations } from "./Registrations";

/** Groups that are offered for choosing; the search of the list finds every registration without one. */
const GROUPS = 200;

/** What registered with the service: by group, or by id. */
export default function Blade({ id, resource }: BladeProps) {
  const [params, setParams] = useSearchParams();
  const group = params.get("group") ?? "";
  const host = serviceHost(resource);
  const groups = useQuery({ queryKey: ["groups-of", host], queryFn: ({ signal }) => queryEnrollments(host, "group", GROUPS, undefined, signal), enabled: host !== "" });
  const known = (groups.data?.rows ?? []).map((row) => ({ value: enrollmentId(row), label: enrollmentId(row) }));
  if (host === "") return null;
  return (
    <>
      <ChoiceField label={t.registrations.group} value={group || undefined} choices={known} of={groups} hint={t.registrations.find} onChange={(wanted) => setParams({ group: wanted })} />
      <Registrations key={group} id={id} host={host} {...(group ? { group } : {})} />
    </>
  );
}
