import { armPath } from "../../api/arm";
import { send } from "../../api/http";
import type { KeyPolicy } from "./sharedKeys";

/** All keys; the server writes down who read them. */
export async function listKeys(id: string): Promise<KeyPolicy[]> {
  const reply = await send<{ value: KeyPolicy[] }>({ method: "POST", path: armPath(`${id}/listkeys`), audience: "arm" });
  return reply.body.value ?? [];
}
