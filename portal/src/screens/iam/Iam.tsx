import { Spinner } from "@fluentui/react-components";
import { AddRegular } from "@fluentui/react-icons";
import { lazy, Suspense } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { CommandBar } from "../../frames/CommandBar";
import type { BladeProps } from "../../frames/ResourcePage";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { CheckAccess } from "./CheckAccess";
import { assignPage } from "./paths";

// Each tab comes with its own file: most look at the first one.
const Assignments = lazy(() => import("./Assignments").then((file) => ({ default: file.Assignments })));
const Roles = lazy(() => import("./Roles").then((file) => ({ default: file.Roles })));

/** Access control of a scope. */
export default function Iam({ id }: BladeProps) {
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const tab = params.get("tab") ?? "check";
  return (
    <>
      <CommandBar
        commands={[
          {
            id: "add",
            label: t.iam.add,
            icon: <AddRegular />,
            needs: { action: "Microsoft.Authorization/roleAssignments/write", scope: id.id },
            onClick: () => void navigate(assignPage(id.id)),
          },
        ]}
      />
      <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ tab: data.value })}>
        <Tab value="check">{t.iam.check}</Tab>
        <Tab value="assignments">{t.iam.assignments}</Tab>
        <Tab value="roles">{t.iam.roles}</Tab>
      </TabList>
      <Suspense fallback={<Spinner label={t.common.loading} />}>
        {tab === "assignments" ? <Assignments id={id} /> : tab === "roles" ? <Roles scope={id.id} /> : <CheckAccess id={id} />}
      </Suspense>
    </>
  );
}
