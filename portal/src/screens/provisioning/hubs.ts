/** Hubs that one may see. */

import { useQuery } from "@tanstack/react-query";
import { queryAll, quote } from "../../api/graphQuery";
import { HUB } from "../../resources";
import type { Row } from "../common/columns";

export const HUBS = `resources | where type =~ ${quote(HUB)}`;

export const hostIn = (row: Row): string => String(row.properties?.["hostName"] ?? "");

/** Hubs that one may see, by host name in lower case; `more` where there are others. */
export function useHubs() {
  return useQuery({
    queryKey: ["hubs-by-host"],
    queryFn: async ({ signal }) => {
      const { rows, more } = await queryAll<Row>(`${HUBS} | order by name asc`, signal);
      return { byHost: new Map(rows.map((row) => [hostIn(row).toLowerCase(), row])), more };
    },
  });
}
