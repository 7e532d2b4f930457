//! What Azure has in Resource Manager and Ferrohub has not: one table, so that a client reads "not built" and the name of
//! what it meant, and never "does not exist". What is built is found first; a row that is overtaken by a type does no harm.

use super::types::Types;
use crate::route::{RouteInfo, Wants};
use ferrohub_model::error::Error;

/// A type, an action or a path that is not built.
struct Row {
    /// The provider; empty for a path that stands in no provider, from its root.
    provider: &'static str,
    /// The path below the provider, `{name}` for any segment; whatever lies below it belongs to it.
    path: &'static str,
    /// What it is, completing "Ferrohub does not have …".
    what: &'static str,
}

const fn row(provider: &'static str, path: &'static str, what: &'static str) -> Row {
    Row { provider, path, what }
}

const REGISTRY: &str = "Microsoft.DeviceRegistry";
const DEVICES: &str = "Microsoft.Devices";
const RESOURCES: &str = "Microsoft.Resources";
const AUTHORIZATION: &str = "Microsoft.Authorization";
const IDENTITY: &str = "Microsoft.ManagedIdentity";
const INSIGHTS: &str = "Microsoft.Insights";

const POLICY: &str = "Azure Policy";
const PRIVATE: &str = "private endpoints and private links; bind the server to the addresses that may be reached";
const PRIVATE_ENDPOINTS: &str =
    "private endpoints beyond an empty list; bind the server to the addresses that may be reached";
const IDENTITY_GOVERNANCE: &str = "eligible and scheduled role assignments";

static ROWS: &[Row] = &[
    row(REGISTRY, "discoveredAssets", "discovered assets"),
    row(REGISTRY, "discoveredAssetEndpointProfiles", "discovered asset endpoint profiles"),
    row(REGISTRY, "convergedAssets", "assets"),
    row(REGISTRY, "namespaces/{name}/jobs", "jobs of a namespace"),
    row(REGISTRY, "namespaces/{name}/bulkImport", "the import of devices into a namespace"),
    row(REGISTRY, "namespaces/{name}/bulkExport", "the export of a namespace's devices"),
    row(REGISTRY, "namespaces/{name}/generateReport", "reports of a namespace"),
    row(REGISTRY, "namespaces/{name}/getLatestReport", "reports of a namespace"),
    row(DEVICES, "IotHubs/{name}/exportDevices", "the export of a hub's devices"),
    row(DEVICES, "IotHubs/{name}/importDevices", "the import of devices into a hub"),
    row(DEVICES, "IotHubs/{name}/jobs", "import and export jobs"),
    row(DEVICES, "IotHubs/{name}/routing", "tests of routes"),
    row(DEVICES, "IotHubs/{name}/failover", "the failover of a hub to another region"),
    // There are none to approve; reading them is built.
    row(DEVICES, "IotHubs/{name}/privateEndpointConnections", PRIVATE_ENDPOINTS),
    row(DEVICES, "provisioningServices/{name}/privateEndpointConnections", PRIVATE_ENDPOINTS),
    row(
        DEVICES,
        "provisioningServices/{name}/operationresults",
        "operations of provisioning services: all are synchronous",
    ),
    row(DEVICES, "elasticPools", "elastic pools of hubs"),
    row(RESOURCES, "deployments", "template deployments"),
    row(RESOURCES, "deploymentScripts", "deployment scripts"),
    row(RESOURCES, "deploymentStacks", "deployment stacks"),
    row(RESOURCES, "deploymentStacksWhatIfResults", "deployment stacks"),
    row(RESOURCES, "templateSpecs", "template specs"),
    row(RESOURCES, "builtInTemplateSpecs", "template specs"),
    row(RESOURCES, "calculateTemplateHash", "template deployments"),
    row(RESOURCES, "links", "links between resources"),
    row(RESOURCES, "changes", "the history of changes"),
    row(RESOURCES, "dataBoundaries", "data boundaries"),
    row(RESOURCES, "checkPolicyCompliance", POLICY),
    row(RESOURCES, "checkZonePeers", "availability zones"),
    row(RESOURCES, "checkResourceName", "the check of names of resources"),
    row(RESOURCES, "subscriptions", "the policies of subscriptions"),
    row(AUTHORIZATION, "policyAssignments", POLICY),
    row(AUTHORIZATION, "policyDefinitions", POLICY),
    row(AUTHORIZATION, "policySetDefinitions", POLICY),
    row(AUTHORIZATION, "policyExemptions", POLICY),
    row(AUTHORIZATION, "policyEnrollments", POLICY),
    row(AUTHORIZATION, "listPolicyDefinitionVersions", POLICY),
    row(AUTHORIZATION, "listPolicySetDefinitionVersions", POLICY),
    row(AUTHORIZATION, "dataPolicyManifests", POLICY),
    row(AUTHORIZATION, "variables", POLICY),
    row(AUTHORIZATION, "classicAdministrators", "classic administrators"),
    row(AUTHORIZATION, "elevateAccess", "the elevation of an administrator's access"),
    row(AUTHORIZATION, "roleEligibilityScheduleRequests", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleEligibilitySchedules", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleEligibilityScheduleInstances", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleAssignmentScheduleRequests", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleAssignmentSchedules", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleAssignmentScheduleInstances", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleManagementPolicies", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleManagementPolicyAssignments", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleManagementAlerts", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleManagementAlertDefinitions", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleManagementAlertConfigurations", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "roleManagementAlertOperations", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "eligibleChildResources", IDENTITY_GOVERNANCE),
    row(AUTHORIZATION, "accessReviewScheduleDefinitions", "access reviews"),
    row(AUTHORIZATION, "accessReviewScheduleSettings", "access reviews"),
    row(AUTHORIZATION, "accessReviewHistoryDefinitions", "access reviews"),
    row(AUTHORIZATION, "resourceManagementPrivateLinks", PRIVATE),
    row(AUTHORIZATION, "privateLinkAssociations", PRIVATE),
    row(IDENTITY, "userAssignedIdentities/{name}/federatedIdentityCredentials", "federated identity credentials"),
    row(INSIGHTS, "diagnosticSettings", "diagnostic settings"),
    row(INSIGHTS, "diagnosticSettingsCategories", "diagnostic settings"),
    row(INSIGHTS, "logprofiles", "log profiles"),
    row(INSIGHTS, "metrics", "metrics of resources; the server's own are at /metrics of its health port"),
    row(INSIGHTS, "metricDefinitions", "metrics of resources; the server's own are at /metrics of its health port"),
    row(INSIGHTS, "metricNamespaces", "metrics of resources; the server's own are at /metrics of its health port"),
    row(INSIGHTS, "metricAlerts", "alerts"),
    row(INSIGHTS, "activityLogAlerts", "alerts"),
    row(INSIGHTS, "alertrules", "alerts"),
    row(INSIGHTS, "scheduledQueryRules", "alerts"),
    row(INSIGHTS, "actionGroups", "action groups"),
    row(INSIGHTS, "autoscalesettings", "autoscaling"),
    row(INSIGHTS, "dataCollectionRules", "data collection rules"),
    row(INSIGHTS, "dataCollectionEndpoints", "data collection endpoints"),
    row("Microsoft.ResourceGraph", "resourcesHistory", "the history of resources"),
    row("Microsoft.ResourceGraph", "resourceChanges", "the history of changes"),
    row("Microsoft.ResourceGraph", "resourceChangeDetails", "the history of changes"),
    row("Microsoft.ResourceGraph", "queries", "stored queries of Resource Graph"),
    row("Microsoft.ResourceGraph", "generateQuery", "the making of queries out of plain words"),
    row(
        "Microsoft.Management",
        "managementGroups",
        "management groups; a role at each subscription does what one there would",
    ),
    row(
        "Microsoft.Management",
        "getEntities",
        "management groups; a role at each subscription does what one there would",
    ),
    row(
        "",
        "subscriptions/{subscription}/providers/{provider}/providerPermissions",
        "permissions of resource providers",
    ),
    row("", "subscriptions/{subscription}/checkZonePeers", "availability zones"),
    row("", "subscriptions/{subscription}/resourceGroups/{resourceGroup}/exportTemplate", "the export of templates"),
    row("", "subscriptions/{subscription}/resourceGroups/{resourceGroup}/deployments", "template deployments"),
    row("", "batch", "batches of requests"),
];

/// Azure's providers of which nothing is built, with what each is for.
static PROVIDERS: &[(&str, &str)] = &[
    (INSIGHTS, "Azure Monitor beyond the activity log"),
    ("Microsoft.Management", "management groups"),
    ("Microsoft.PolicyInsights", POLICY),
    ("Microsoft.GuestConfiguration", POLICY),
    ("Microsoft.Features", "preview features"),
    ("Microsoft.Solutions", "managed applications"),
    ("Microsoft.Billing", "billing"),
    ("Microsoft.Consumption", "costs"),
    ("Microsoft.CostManagement", "costs"),
    ("Microsoft.Advisor", "Azure Advisor"),
    ("Microsoft.ResourceHealth", "resource health"),
    ("Microsoft.ResourceNotifications", "notifications of resources"),
    ("Microsoft.AlertsManagement", "alerts"),
    ("Microsoft.OperationalInsights", "Log Analytics"),
    ("Microsoft.Security", "Defender for Cloud"),
    ("Microsoft.IoTSecurity", "Defender for IoT"),
    ("Microsoft.DeviceUpdate", "Device Update"),
    ("Microsoft.IoTOperations", "IoT Operations"),
    ("Microsoft.IoTCentral", "IoT Central"),
    ("Microsoft.DigitalTwins", "Azure Digital Twins"),
    ("Microsoft.EventHub", "Event Hubs namespaces"),
    ("Microsoft.EventGrid", "Event Grid"),
    ("Microsoft.ServiceBus", "Service Bus"),
    ("Microsoft.StreamAnalytics", "Stream Analytics"),
    ("Microsoft.Storage", "storage accounts"),
    ("Microsoft.KeyVault", "key vaults"),
    ("Microsoft.Network", "networks"),
    ("Microsoft.Compute", "virtual machines"),
    ("Microsoft.Web", "App Service and Functions"),
    ("Microsoft.App", "Container Apps"),
    ("Microsoft.ContainerRegistry", "container registries"),
    ("Microsoft.ContainerService", "Kubernetes"),
    ("Microsoft.Kubernetes", "Kubernetes"),
    ("Microsoft.KubernetesConfiguration", "Kubernetes"),
    ("Microsoft.ExtendedLocation", "custom locations"),
    ("Microsoft.HybridCompute", "Azure Arc"),
    ("Microsoft.DocumentDB", "Cosmos DB"),
    ("Microsoft.Sql", "SQL databases"),
    ("Microsoft.Kusto", "Data Explorer"),
    ("Microsoft.Portal", "dashboards of the portal"),
    ("Microsoft.Marketplace", "the marketplace"),
    ("Microsoft.MarketplaceOrdering", "the marketplace"),
    ("Microsoft.Support", "support requests"),
];

/// The refusal of a request for something that is not built; `None` where nothing here fits.
pub(super) fn refusal(types: &Types, segments: &[String]) -> Option<Error> {
    let block = segments.iter().rposition(|word| word.eq_ignore_ascii_case("providers"));
    let provider = block.and_then(|at| Some((segments.get(at + 1)?, segments.get(at + 2..)?)));
    let fits = |row: &&Row| match provider {
        Some((provider, path)) if row.provider.eq_ignore_ascii_case(provider) => starts(row.path, path),
        _ => row.provider.is_empty() && starts(row.path, segments),
    };
    if let Some(row) = ROWS.iter().find(fits) {
        let kinds: Vec<&str> = row.path.split('/').filter(|part| !part.starts_with('{')).collect();
        let name = match row.provider {
            "" => kinds.last().copied().unwrap_or_default().to_owned(),
            provider => format!("{provider}/{}", kinds.join("/")),
        };
        let mut text = sentence(row.what, &name);
        if PROVIDERS.iter().any(|(provider, _)| *provider == row.provider) {
            text = format!("{text} It has: {}.", types.providers().join(", "));
        }
        return Some(Error::not_implemented(text));
    }
    provider.and_then(|(name, _)| of_provider(types, name))
}

/// What is missing, and after a semicolon or a colon what there is instead.
fn sentence(what: &str, name: &str) -> String {
    match what.find([';', ':']) {
        Some(at) => format!("Ferrohub does not have {} ({name}) yet{}.", &what[..at], &what[at..]),
        None => format!("Ferrohub does not have {what} ({name}) yet."),
    }
}

/// The refusal of a provider of which nothing is built; `None` for one that is built, or that Azure does not have.
pub(super) fn of_provider(types: &Types, namespace: &str) -> Option<Error> {
    let (name, what) = PROVIDERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(namespace))?;
    let have = types.providers().join(", ");
    Some(Error::not_implemented(format!("Ferrohub does not have {what} ({name}) yet. It has: {have}.")))
}

/// A provider namespace of Azure's of which we know something, as Azure writes it.
pub(super) fn provider(namespace: &str) -> Option<&'static str> {
    let names = ROWS.iter().map(|row| row.provider).chain(PROVIDERS.iter().map(|(name, _)| *name));
    names.filter(|name| !name.is_empty()).find(|name| name.eq_ignore_ascii_case(namespace))
}

/// The routes of what is not built.
pub(super) fn routes() -> Vec<RouteInfo> {
    let path = |row: &Row| match row.provider {
        "" => format!("/{}", row.path),
        provider => format!("/{{scope}}/providers/{provider}/{}", row.path),
    };
    let info = |row| RouteInfo { plane: "arm", method: "*".into(), path: path(row), wants: Wants::Principal };
    ROWS.iter().map(info).collect()
}

/// Whether the segments start with the path.
fn starts(path: &str, segments: &[String]) -> bool {
    let mut parts = path.split('/').zip(segments);
    path.split('/').count() <= segments.len()
        && parts.all(|(part, segment)| part.starts_with('{') || part.eq_ignore_ascii_case(segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arm::path;

    fn of(path: &str) -> Option<String> {
        refusal(&Types::built_in(), &path::segments(path).unwrap()).map(|error| error.message)
    }

    #[test]
    fn what_is_meant_is_named() {
        let group = "/subscriptions/s/resourceGroups/g";
        let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/h");
        for (path, words) in [
            (format!("{hub}/providers/microsoft.insights/DiagnosticSettings"), "diagnostic settings"),
            (format!("{hub}/exportDevices"), "export of a hub's devices"),
            (format!("{group}/providers/Microsoft.Resources/deployments/d/operations"), "template deployments"),
            ("/providers/Microsoft.Management/managementGroups/m/descendants".into(), "management groups"),
            (format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/n/jobs/a"), "jobs of a namespace"),
            ("/subscriptions/s/providers/Microsoft.Insights/metricbaselines".into(), "Azure Monitor"),
            (format!("{group}/providers/Microsoft.Storage/storageAccounts/a"), "storage accounts"),
        ] {
            let message = of(&path).unwrap_or_else(|| panic!("{path} is unknown"));
            assert!(message.contains(words) && message.contains(") yet"), "{path}: {message}");
        }
        for path in ["/elsewhere", "/subscriptions/s/providers/Microsoft.Nonsense/x", "/subscriptions/s/providers"] {
            assert_eq!(of(path), None, "{path}");
        }
        assert_eq!(of(&hub), None);
    }

    #[test]
    fn what_is_built_is_not_in_the_table() {
        let types = Types::built_in();
        for route in crate::arm::routes().into_iter().filter(|route| !routes().contains(route)) {
            let segments = path::segments(&route.path).unwrap();
            let refused = refusal(&types, &segments).map(|error| error.message);
            // Of some providers a little is built, and what they are called says so.
            let little = refused.as_ref().is_some_and(|text| text.contains(" beyond "));
            assert!(refused.is_none() || little, "{} {}: {refused:?}", route.method, route.path);
        }
        for provider in types.providers() {
            assert!(of_provider(&types, provider).is_none(), "{provider}");
        }
    }
}
