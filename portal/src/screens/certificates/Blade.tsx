import type { BladeProps } from "../../frames/ResourcePage";
import { Inventory } from "./Inventory";

/** What a namespace issued. */
export default function Blade({ id }: BladeProps) {
  return <Inventory namespace={id.id} />;
}
