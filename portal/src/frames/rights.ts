import { useQuery } from "@tanstack/react-query";
import { allows, permissionsAt } from "../api/permissions";

/** An action at a scope that a control needs. */
export interface Need {
  action: string;
  scope: string;
  data?: boolean;
}

/** May the one who is signed in do it? True while it is not known: the server decides anyway. */
export function useMay(need: Need | undefined): boolean {
  const rights = useQuery({
    queryKey: ["permissions", need?.scope.toLowerCase()],
    queryFn: ({ signal }) => permissionsAt(need?.scope ?? "", signal),
    enabled: need !== undefined,
    staleTime: 10_000,
  });
  if (!need || !rights.data) return true;
  return allows(rights.data, need.action, need.data);
}
