/** Add role assignment: a role, members, and one assignment for each of them. */

import { Button, makeStyles, Radio, RadioGroup, SearchBox, Table, TableBody, TableCell, TableHeader, TableHeaderCell, TableRow, Text, Field, Textarea } from "@fluentui/react-components";
import { useState } from "react";
import { useParams } from "react-router";
import { armPath } from "../../api/arm";
import { pageOf, parseId } from "../../api/resourceId";
import { API } from "../../api/versions";
import { azLine } from "../../azLine";
import { useForm, type Form } from "../../frames/form";
import { Loaded } from "../../frames/Loaded";
import { Page } from "../../frames/Page";
import { RefusedFacts } from "../../frames/Refused";
import { useMay } from "../../frames/rights";
import { Wizard } from "../../frames/Wizard";
import { Tab, TabList } from "../../frames/Tabs";
import { later } from "../../frames/later";
import { t } from "../../texts";
import { PRIVILEGED, roleMatches, useRoles, type Role } from "./access";
import type { Member, MembersProps } from "./MembersPane";
import type { RoleProps } from "./RolePane";
import { cutText } from "../../wellFormed";

const RolePane = later<RoleProps>(() => import("./RolePane"));
const MembersPane = later<MembersProps>(() => import("./MembersPane"));

interface Values {
  role: string;
  roleName: string;
  kind: "people" | "identity";
  members: Member[];
  description: string;
}

const FIRST: Values = { role: "", roleName: "", kind: "people", members: [], description: "" };
/** Longest description, characters (Azure's field). */
const DESCRIPTION = 1024;

const useStyles = makeStyles({
  roles: { maxHeight: "55vh", overflowY: "auto", marginTop: "8px" },
  narrow: { width: "40px" },
  members: { margin: "12px 0", maxWidth: "820px" },
  description: { maxWidth: "640px" },
});

export default function Assign() {
  const scope = "/" + (useParams()["*"] ?? "");
  const id = parseId(scope);
  if (!id) {
    return (
      <Page title={t.resource.noneTitle}>
        <Text>{t.resource.none}</Text>
      </Page>
    );
  }
  const crumbs = [
    { label: id.name, to: pageOf(scope) },
    { label: t.blades.iam, to: `${pageOf(scope, "iam")}?tab=assignments` },
  ];
  return (
    <Page title={t.iam.addTitle} crumbs={crumbs}>
      <AssignWizard key={scope} scope={scope} />
    </Page>
  );
}

function AssignWizard({ scope }: { scope: string }) {
  const form = useForm(`assign-${scope.toLowerCase()}`, FIRST);
  const { values } = form;
  const need = { action: "Microsoft.Authorization/roleAssignments/write", scope };
  const may = useMay(need);
  const faults = {
    role: values.role === "" ? t.iam.chooseRole : undefined,
    members: values.members.length === 0 ? t.iam.chooseMembers : undefined,
    description: values.description.length > DESCRIPTION ? t.iam.longDescription(DESCRIPTION) : undefined,
  };
  const bodyOf = (member: Member) => ({
    properties: {
      roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${values.role}`,
      principalId: member.id,
      principalType: member.kind,
      ...(values.description ? { description: values.description } : {}),
    },
  });
  return (
    <Wizard
      form={form}
      faults={faults}
      reviewLabel={t.iam.reviewAssign}
      action={t.iam.reviewAssign}
      refused={may ? undefined : <RefusedFacts denied={need} />}
      tabs={[
        {
          id: "role",
          label: t.iam.role,
          fields: ["role"],
          render: (fault) => <RoleTab scope={scope} form={form} fault={fault("role")} />,
          review: [
            [t.iam.role, values.roleName],
            [t.refused.scope, scope],
          ],
        },
        {
          id: "members",
          label: t.iam.members,
          fields: ["members", "description"],
          render: (fault) => <MembersTab form={form} fault={fault("members")} descriptionFault={fault("description")} />,
          review: [
            [t.iam.members, values.members.map((member) => member.name).join(", ")],
            [t.iam.description, values.description || t.common.none],
          ],
        },
      ]}
      plan={() => ({
        title: t.iam.plan(values.roleName),
        independent: true,
        target: `${pageOf(scope, "iam")}?tab=assignments`,
        steps: values.members.map((member) => ({
          title: t.iam.memberStep(member.name, values.roleName),
          method: "PUT" as const,
          path: armPath(`${scope}/providers/Microsoft.Authorization/roleAssignments/${crypto.randomUUID()}`, API.authorization),
          body: bodyOf(member),
          fine: ["RoleAssignmentExists"],
        })),
      })}
      az={values.members.map((member) =>
        azLine("role assignment create", {
          "assignee-object-id": member.id,
          "assignee-principal-type": member.kind,
          "role": values.roleName,
          "scope": scope,
          "description": values.description || undefined,
        }),
      )}
      json={values.members.map(bodyOf)}
    />
  );
}

function RoleTab({ scope, form, fault }: { scope: string; form: Form<Values>; fault: string | undefined }) {
  const styles = useStyles();
  const roles = useRoles(scope);
  const chosen = form.values.role;
  const [privileged, setPrivileged] = useState(PRIVILEGED.has(chosen));
  const [text, setText] = useState("");
  const [shown, setShown] = useState<Role | undefined>(undefined);
  return (
    <>
      <TabList selectedValue={privileged ? "privileged" : "job"} onTabSelect={(_, data) => setPrivileged(data.value === "privileged")}>
        <Tab value="job">{t.iam.jobRoles}</Tab>
        <Tab value="privileged">{t.iam.privilegedRoles}</Tab>
      </TabList>
      <SearchBox value={text} placeholder={t.iam.searchRoles} aria-label={t.iam.searchRoles} onChange={(_, data) => setText(cutText(data.value, 200))} style={{ minWidth: "420px", marginTop: "8px" }} />
      <Field {...(fault ? { validationState: "error" as const, validationMessage: fault } : {})}>
        <Loaded of={roles}>
          {(all) => {
            const fitting = all.filter((role) => PRIVILEGED.has(role.name.toLowerCase()) === privileged && roleMatches(role, text)).sort((a, b) => a.properties.roleName.localeCompare(b.properties.roleName));
            return (
              <RadioGroup
                aria-label={t.iam.roles}
                value={chosen}
                onChange={(_, data) => form.set({ role: data.value, roleName: all.find((role) => role.name === data.value)?.properties.roleName ?? "" })}
              >
                <div className={styles.roles}>
                  <Table size="small" aria-label={t.iam.roles}>
                    <TableHeader>
                      <TableRow>
                        <TableHeaderCell>{t.columns.name}</TableHeaderCell>
                        <TableHeaderCell>{t.iam.description}</TableHeaderCell>
                        <TableHeaderCell>{t.columns.type}</TableHeaderCell>
                        <TableHeaderCell>{t.iam.details}</TableHeaderCell>
                      </TableRow>
                    </TableHeader>
                    <TableBody>
                      {fitting.map((role) => (
                        <TableRow key={role.name}>
                          <TableCell>
                            <Radio value={role.name} label={role.properties.roleName} />
                          </TableCell>
                          <TableCell>{role.properties.description}</TableCell>
                          <TableCell>{role.properties.type}</TableCell>
                          <TableCell>
                            <Button size="small" appearance="transparent" aria-label={t.iam.viewRole(role.properties.roleName)} onClick={() => setShown(role)}>
                              {t.iam.view}
                            </Button>
                          </TableCell>
                        </TableRow>
                      ))}
                    </TableBody>
                  </Table>
                  {fitting.length === 0 && <p>{t.list.nothing}</p>}
                </div>
              </RadioGroup>
            );
          }}
        </Loaded>
      </Field>
      <RolePane open={shown !== undefined} role={shown} onClose={() => setShown(undefined)} />
    </>
  );
}

function MembersTab({ form, fault, descriptionFault }: { form: Form<Values>; fault: string | undefined; descriptionFault: string | undefined }) {
  const styles = useStyles();
  const [picking, setPicking] = useState(false);
  const { values, set } = form;
  return (
    <>
      <p>
        {t.iam.selectedRole}: <Text weight="semibold">{values.roleName || t.common.none}</Text>
      </p>
      <Field label={t.iam.assignTo}>
        <RadioGroup value={values.kind} onChange={(_, data) => set({ kind: data.value === "identity" ? "identity" : "people" })}>
          <Radio value="people" label={t.iam.people} />
          <Radio value="identity" label={t.iam.managedIdentity} />
        </RadioGroup>
      </Field>
      <Field {...(fault ? { validationState: "error" as const, validationMessage: fault } : {})}>
        <div>
          <Button onClick={() => setPicking(true)}>{t.iam.selectMembers}</Button>
        </div>
      </Field>
      <Table size="small" className={styles.members} aria-label={t.iam.members}>
        <TableHeader>
          <TableRow>
            <TableHeaderCell>{t.columns.name}</TableHeaderCell>
            <TableHeaderCell>{t.iam.objectId}</TableHeaderCell>
            <TableHeaderCell>{t.columns.type}</TableHeaderCell>
            <TableHeaderCell aria-label={t.common.remove} />
          </TableRow>
        </TableHeader>
        <TableBody>
          {values.members.map((member) => (
            <TableRow key={member.id}>
              <TableCell>{member.name}</TableCell>
              <TableCell>{member.id}</TableCell>
              <TableCell>{member.text}</TableCell>
              <TableCell>
                <Button size="small" aria-label={t.iam.removeMember(member.name)} onClick={() => set({ members: values.members.filter((each) => each.id !== member.id) })}>
                  {t.common.remove}
                </Button>
              </TableCell>
            </TableRow>
          ))}
        </TableBody>
      </Table>
      <Field className={styles.description} label={t.iam.description} {...(descriptionFault ? { validationState: "error" as const, validationMessage: descriptionFault } : {})}>
        <Textarea value={values.description} onChange={(_, data) => set({ description: cutText(data.value, 4 * DESCRIPTION) })} />
      </Field>
      <MembersPane
        kind={values.kind}
        open={picking}
        chosen={values.members}
        onClose={() => setPicking(false)}
        onSelect={(members) => {
          set({ members });
          setPicking(false);
        }}
      />
    </>
  );
}
