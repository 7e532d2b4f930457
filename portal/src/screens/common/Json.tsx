import type { BladeProps } from "../../frames/ResourcePage";
import JsonPane from "./JsonPane";

export default function Json({ id }: BladeProps) {
  return <JsonPane id={id} />;
}
