import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { queryAll } from "../../api/graphQuery";
import type { Column } from "../../frames/List";
import { NAMESPACE } from "../../resources";
import { t } from "../../texts";
import { nameColumn, placeColumns, typeRows, type Row } from "../common/columns";
import { TypeList } from "../common/TypeList";

const HUBS = "resources | where type =~ 'microsoft.devices/iothubs' | summarize number = count() by namespace = tolower(tostring(properties.deviceRegistry.namespaceResourceId))";
const POLICIES =
  "resources | where type =~ 'microsoft.deviceregistry/namespaces/certificateauthorities' | where properties.certificateAuthorityType =~ 'ICA' | summarize number = count() by namespace = tolower(tostring(split(tolower(id), '/certificateauthorities/')[0]))";

const ROWS = typeRows([NAMESPACE], { identity: "tostring(identity.type)", state: "tostring(properties.provisioningState)" }, ["state"]);
const CRUMBS = [{ label: t.namespaces.service, to: "/namespaces" }];

interface Count {
  namespace: string;
  number: number;
}

/** The text of how many of something a namespace has, by its id; no number before they are read. */
function useCounts(key: string, text: string): (row: Row) => string {
  const found = useQuery({ queryKey: ["counts", key], queryFn: ({ signal }) => queryAll<Count>(text, signal) });
  const failed = found.error !== null;
  return useMemo(() => {
    const counts = found.data && new Map(found.data.rows.map((row) => [row.namespace, row.number]));
    // Of a list that was cut a row may be missing: then it is no zero.
    const none = found.data?.more ? t.common.unknown : "0";
    return (row) => (counts ? String(counts.get(row.id.toLowerCase()) ?? none) : failed ? t.common.unknown : "");
  }, [found.data, failed]);
}

export default function List() {
  const hubs = useCounts("hubs", HUBS);
  const policies = useCounts("policies", POLICIES);
  const columns = useMemo((): Column<Row>[] => {
    return [
      nameColumn,
      ...placeColumns,
      { id: "state", label: t.namespaces.state, text: (row) => String(row.properties?.["provisioningState"] ?? ""), hidden: true },
      { id: "identity", label: t.namespaces.identity, text: (row) => row.identity?.type ?? t.common.none },
      { id: "hubs", label: t.namespaces.hubs, text: hubs, unsorted: true },
      { id: "policies", label: t.namespaces.policies, text: policies, unsorted: true },
    ];
  }, [hubs, policies]);
  return <TypeList rows={ROWS} words={t.namespaces} create="/create/namespace" columns={columns} crumbs={CRUMBS} />;
}
