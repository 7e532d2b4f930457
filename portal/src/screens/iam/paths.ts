import { idPath } from "../../wellFormed";

/** Address of the wizard that gives a role at a scope. */
export const assignPage = (scope: string): string => "/assign" + idPath(scope);
