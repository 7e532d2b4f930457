import { createContext, useContext } from "react";
import type { Account } from "./signIn";

export const AccountContext = createContext<Account>({ name: "", userName: "", objectId: "", tenantId: "" });

/** Who is signed in. */
export function useAccount(): Account {
  return useContext(AccountContext);
}
