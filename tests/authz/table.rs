//! What each operation of the API needs, written down a second time and apart from the server's own table, so that a
//! permission that is asked for nowhere, or the wrong one, is found.

/// What becomes of an asker who lacks a permission.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// `FORBIDDEN`.
    Refused,
    /// They get an answer, without what they may not see, if they have these permissions; `FORBIDDEN` otherwise.
    SeeLess(&'static [&'static str]),
}

/// One way to call one operation.
pub struct Row {
    /// `Query.asset`, or `GET /api/v1/reports/{id}` as the OpenAPI document writes it.
    pub operation: &'static str,
    /// The field with its arguments, or the path with its query. `$asset` is the id of an asset and so on (see
    /// `world::Tenant::ids`), of the other organization when its ids are tried; `$ownAsset` is always the asker's.
    pub call: &'static str,
    /// All of these permissions.
    pub needs: &'static [&'static str],
    pub others: Others,
    /// For signed-in people only: API tokens of every role are refused.
    pub people_only: bool,
}

const fn row(operation: &'static str, call: &'static str, needs: &'static [&'static str]) -> Row {
    Row { operation, call, needs, others: Others::Refused, people_only: false }
}

const fn less(operation: &'static str, call: &'static str, needs: &'static [&'static str]) -> Row {
    Row { others: Others::SeeLess(&[]), ..row(operation, call, needs) }
}

const fn people(operation: &'static str, call: &'static str) -> Row {
    Row { people_only: true, ..row(operation, call, &["account:manage"]) }
}

/// Every operation, at least once. What is signed in is enough for is asked with no permission.
pub const ROWS: &[Row] = &[
    row("Query.viewer", "viewer { role permissions organization { id name } }", &["organization:read"]),
    row("Query.viewer", "viewer { role tokenName memberships { role } sessions { id } now }", &[]),
    row(
        "Query.posture",
        "posture { risk openFindings layers { layer openFindings } riskiestAssets { share } }",
        &["posture:read"],
    ),
    row("Query.posture", "posture { topFindings { findings { title } } }", &["posture:read", "finding:read"]),
    row("Query.posture", "posture { riskiestAssets { asset { name } } }", &["posture:read", "asset:read"]),
    row("Query.assets", "assets { nodes { id name } totalCount }", &["asset:read"]),
    row("Query.assetCounts", "assetCounts { kind count }", &["asset:read"]),
    row(
        "Query.asset",
        "asset(id: $asset) { id name relations { from { name } to { name } } history { summary } aliases { name } alike { name } provenance { attribute } }",
        &["asset:read"],
    ),
    row("Query.asset", "asset(id: $asset) { findings { nodes { title } } }", &["asset:read", "finding:read"]),
    row("Query.findings", "findings { nodes { id title } totalCount }", &["finding:read"]),
    row("Query.findings", "findings(filter: { asset: $asset }) { nodes { title } totalCount }", &["finding:read"]),
    row("Query.findings", "findings(filter: { report: $report }) { nodes { title } totalCount }", &["finding:read"]),
    row("Query.findings", "findings(filter: { assignee: $user }) { nodes { title } totalCount }", &["finding:read"]),
    row("Query.findings", "findings { nodes { asset { name } } }", &["finding:read", "asset:read"]),
    row("Query.findingSummary", "findingSummary { open tools }", &["finding:read"]),
    row("Query.findingSummary", "findingSummary(filter: { asset: $asset }) { open tools }", &["finding:read"]),
    row(
        "Query.finding",
        "finding(id: $finding) { id title occurrences { tool } history { kind actor } }",
        &["finding:read"],
    ),
    row("Query.reports", "reports { nodes { id filename } totalCount }", &["report:read"]),
    row("Query.report", "report(id: $report) { id filename }", &["report:read"]),
    row("Query.report", "report(id: $report) { findings { nodes { title } } }", &["report:read", "finding:read"]),
    row("Query.report", "report(id: $report) { assets { name } }", &["report:read", "asset:read"]),
    row("Query.reportFormats", "reportFormats { format title }", &[]),
    row("Query.reportFormat", "reportFormat(format: \"sarif\") { title }", &[]),
    row("Query.members", "members { user { id email } role }", &["member:read"]),
    row("Query.invitations", "invitations { id email }", &["invitation:read"]),
    row("Query.apiTokens", "apiTokens { id name prefix }", &["token:read"]),
    row("Query.roles", "roles { role permissions }", &[]),
    row("Query.auditLog", "auditLog { nodes { action actor detail } totalCount }", &["audit:read"]),
    row("Query.auditVerification", "auditVerification { valid entries first }", &["audit:read"]),
    row("Query.deadLetters", "deadLetters { id error }", &["job:read"]),
    less("Query.search", "search(text: \"zircon-agent\") { title url }", &["asset:read"]),
    less("Query.search", "search(text: \"zircon in line\") { title url }", &["finding:read"]),
    less("Query.search", "search(text: \"zircon in line\") { subtitle }", &["finding:read", "asset:read"]),
    row("Query.node", "node(id: $asset) { id ... on Asset { name } }", &["asset:read"]),
    row("Query.node", "node(id: $relation) { id ... on Relation { from { name } } }", &["asset:read"]),
    row("Query.node", "node(id: $finding) { id ... on Finding { title } }", &["finding:read"]),
    row("Query.node", "node(id: $decision) { id ... on Decision { reason } }", &["finding:read"]),
    row("Query.node", "node(id: $report) { id ... on Report { filename } }", &["report:read"]),
    row("Query.node", "node(id: $organization) { id ... on Organization { name } }", &["organization:read"]),
    less("Query.node", "node(id: $user) { id ... on User { email } }", &["member:read"]),
    row("Query.node", "node(id: $invitation) { id ... on Invitation { email } }", &["invitation:read"]),
    row("Query.node", "node(id: $token) { id ... on ApiToken { name } }", &["token:read"]),
    row(
        "Mutation.upsertAssets",
        "upsertAssets(assets: [{ kind: AGENT, externalKey: \"made-by-roles\" }]) { assets { id } }",
        &["asset:write", "asset:read"],
    ),
    row("Mutation.updateAsset", "updateAsset(id: $asset, patch: { owner: \"nobody\" }) { id }", &["asset:write"]),
    row("Mutation.mergeAssets", "mergeAssets(keep: $ownAsset, others: [$twin]) { id }", &["asset:write"]),
    row("Mutation.mergeAssets", "mergeAssets(keep: $asset, others: [$twin]) { id }", &["asset:write"]),
    row("Mutation.splitAsset", "splitAsset(asset: $asset, alias: $part) { split { id } }", &["asset:write"]),
    row("Query.node", "node(id: $event) { id ... on Event { model } }", &["event:read"]),
    row("Query.node", "node(id: $agentSession) { id ... on AgentSession { name } }", &["event:read"]),
    row("Query.node", "node(id: $sensor) { id ... on Sensor { name } }", &["sensor:read"]),
    row("Query.node", "node(id: $policy) { id ... on Policy { name } }", &["policy:read"]),
    row(
        "Query.node",
        "node(id: $notificationChannel) { id ... on NotificationChannel { name target } }",
        &["notification:read"],
    ),
    row("Query.node", "node(id: $notificationRule) { id ... on NotificationRule { name } }", &["notification:read"]),
    row(
        "Query.node",
        "node(id: $notificationDelivery) { id ... on NotificationDelivery { status } }",
        &["notification:read"],
    ),
    row("Query.notificationChannels", "notificationChannels { id name target state }", &["notification:read"]),
    row("Query.notificationRules", "notificationRules { id name topics channel { name } }", &["notification:read"]),
    row(
        "Query.notificationDelivery",
        "notificationDelivery(id: $notificationDelivery) { status notices { title } }",
        &["notification:read"],
    ),
    row(
        "Query.notificationDeliveries",
        "notificationDeliveries { nodes { id status rule { name } channel { name } notices { title } } totalCount }",
        &["notification:read"],
    ),
    row(
        "Query.notificationDeliveries",
        "notificationDeliveries(filter: { channel: $notificationChannel }) { nodes { channel { name } } totalCount }",
        &["notification:read"],
    ),
    row(
        "Mutation.saveNotificationChannel",
        "saveNotificationChannel(input: { kind: SLACK, name: $fresh, url: \"https://hooks.example.invalid/\" }) { channel { id } }",
        &["notification:write"],
    ),
    row(
        "Mutation.saveNotificationChannel",
        "saveNotificationChannel(input: { id: $notificationChannel, kind: WEBHOOK, name: $name }) { channel { id } }",
        &["notification:write"],
    ),
    row(
        "Mutation.setNotificationChannelEnabled",
        "setNotificationChannelEnabled(id: $notificationChannel, enabled: true) { id }",
        &["notification:write"],
    ),
    row(
        "Mutation.testNotificationChannel",
        "testNotificationChannel(id: $notificationChannel) { status }",
        &["notification:write"],
    ),
    row(
        "Mutation.saveNotificationRule",
        "saveNotificationRule(input: { id: $notificationRule, channel: $notificationChannel, name: $name, topics: [INCIDENT_OPENED], minSeverity: LOW }) { id }",
        &["notification:write"],
    ),
    row("Mutation.replayNotification", "replayNotification(id: $notificationDelivery) { id }", &["notification:write"]),
    row("Mutation.deleteNotificationRule", "deleteNotificationRule(id: $oldRule)", &["notification:write"]),
    row("Mutation.deleteNotificationChannel", "deleteNotificationChannel(id: $oldChannel)", &["notification:write"]),
    row("Query.asset", "asset(id: $asset) { runtime { events } toolUsage { state } }", &["asset:read", "event:read"]),
    row("Query.runtime", "runtime { events series { block } detectors { rule } }", &["event:read"]),
    row("Query.runtime", "runtime { agents { agent { name } } }", &["event:read", "asset:read"]),
    row("Query.events", "events { nodes { id model detections { rule } } totalCount }", &["event:read"]),
    row("Query.events", "events(filter: { agents: [$asset] }) { nodes { model } }", &["event:read"]),
    row("Query.events", "events(filter: { session: $agentSession }) { nodes { model } }", &["event:read"]),
    row("Query.events", "events(filter: { sensor: $sensor }) { nodes { model } }", &["event:read"]),
    row("Query.events", "events { nodes { agent { name } } }", &["event:read", "asset:read"]),
    row("Query.event", "event(id: $event) { id model session { name } feedback { note } }", &["event:read"]),
    row("Query.event", "event(id: $event) { agent { name } }", &["event:read", "asset:read"]),
    row("Query.agentSessions", "agentSessions { nodes { id name } totalCount }", &["event:read"]),
    row("Query.agentSessions", "agentSessions(filter: { agents: [$asset] }) { nodes { name } }", &["event:read"]),
    row("Query.agentSession", "agentSession(id: $agentSession) { name steps { model } }", &["event:read"]),
    row("Query.agentSession", "agentSession(id: $agentSession) { agent { name } }", &["event:read", "asset:read"]),
    row("Query.sensors", "sensors { id name state }", &["sensor:read"]),
    row("Query.sensors", "sensors { asset { name } }", &["sensor:read", "asset:read"]),
    row("Query.policies", "policies { id name versions { version } }", &["policy:read"]),
    row("Query.policies", "policies { agents { name } }", &["policy:read", "asset:read"]),
    row("Query.policy", "policy(id: $policy) { name active { hash } }", &["policy:read"]),
    row("Query.policyPresets", "policyPresets { preset document }", &[]),
    row(
        "Query.policyDryRun",
        "policyDryRun(document: { preset: \"monitor\" }) { events changed examples { reason } }",
        &["policy:read", "event:read"],
    ),
    row(
        "Query.policyDryRun",
        "policyDryRun(document: { preset: \"monitor\" }, agents: [$asset]) { events }",
        &["policy:read", "event:read"],
    ),
    row("Query.guardrailQuality", "guardrailQuality { rule events recall { low } }", &["event:read"]),
    row("Query.guardrailQuality", "guardrailQuality { policy { name } }", &["event:read", "policy:read"]),
    row("Query.thresholdReplay", "thresholdReplay(flag: 0.4, block: 0.9) { events }", &["event:read"]),
    row("Query.tryInspect", "tryInspect(input: { channel: MEMORY, text: \"x\" }) { verdict }", &["inspect:call"]),
    row("Query.runtimeSettings", "runtimeSettings { storeText retentionDays }", &["policy:read"]),
    row("Mutation.inspect", "inspect(input: { channel: MEMORY, text: \"x\" }) { verdict }", &["inspect:call"]),
    row(
        "Mutation.ingestEvents",
        "ingestEvents(events: [{ id: \"made-by-roles\", at: $now, kind: PROMPT, agent: \"made-by-roles\" }]) { accepted repeated }",
        &["event:ingest"],
    ),
    row(
        "Mutation.registerSensor",
        "registerSensor(name: $fresh, asset: $ownAsset) { sensor { id } }",
        &["sensor:write", "sensor:read", "token:create", "asset:read"],
    ),
    row(
        "Mutation.registerSensor",
        "registerSensor(name: $fresh, asset: $asset) { sensor { id } }",
        &["sensor:write", "sensor:read", "token:create", "asset:read"],
    ),
    row("Mutation.retireSensor", "retireSensor(id: $sensor)", &["sensor:write", "sensor:read", "token:revoke"]),
    row(
        "Mutation.savePolicy",
        "savePolicy(id: $policy, name: $name, document: { preset: \"balanced\" }) { id }",
        &["policy:write"],
    ),
    row(
        "Mutation.savePolicy",
        "savePolicy(name: $fresh, agents: [$asset], document: { preset: \"balanced\" }) { id }",
        &["policy:write", "asset:read"],
    ),
    row("Mutation.activatePolicy", "activatePolicy(id: $policy, version: 1) { id }", &["policy:write"]),
    row("Mutation.archivePolicy", "archivePolicy(id: $oldPolicy)", &["policy:write"]),
    row("Mutation.labelEvent", "labelEvent(id: $event, label: ATTACK) { id }", &["finding:triage", "event:read"]),
    row(
        "Mutation.updateRuntimeSettings",
        "updateRuntimeSettings(retentionDays: 31) { retentionDays }",
        &["policy:write"],
    ),
    row(
        "Query.incidents",
        "incidents { nodes { id title clocks { state } timeline { nodes { text } } links { url } } totalCount }",
        &["incident:read"],
    ),
    row("Query.incidents", "incidents(filter: { asset: $asset }) { nodes { title } }", &["incident:read"]),
    row("Query.incident", "incident(id: $incident) { title reportMarkdown allowedTransitions }", &["incident:read"]),
    row("Query.incident", "incident(id: $incident) { containments { reason } }", &["incident:read"]),
    row("Query.incident", "incident(id: $incident) { runs { status } }", &["incident:read", "playbook:read"]),
    row("Query.incident", "incident(id: $incident) { assets { name } }", &["incident:read", "asset:read"]),
    row("Query.incident", "incident(id: $incident) { findings { title } }", &["incident:read", "finding:read"]),
    Row {
        others: Others::SeeLess(&["incident:read"]),
        ..row(
            "Query.incident",
            "incident(id: $incident) { events { model } sessions { name } }",
            &["incident:read", "event:read"],
        )
    },
    row("Query.node", "node(id: $incident) { id ... on Incident { title } }", &["incident:read"]),
    row("Query.incidentMetrics", "incidentMetrics { open mtta mttr timeToContainment }", &["incident:read"]),
    row("Query.correlationRules", "correlationRules { id threshold enabled }", &["incident:read"]),
    row(
        "Mutation.openIncident",
        "openIncident(input: { title: \"made by roles\", severity: LOW, dedupKey: \"made-by-roles\" }) { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.transitionIncident",
        "transitionIncident(id: $incident, to: TRIAGED) { status }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.undoIncidentTransition",
        "undoIncidentTransition(id: $incident) { status }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.updateIncident",
        "updateIncident(id: $incident, input: { summary: \"x\" }) { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.commentIncident",
        "commentIncident(id: $incident, text: \"x\") { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.attachToIncident",
        "attachToIncident(id: $incident, items: { assets: [$asset] }) { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.mergeIncidents",
        "mergeIncidents(into: $incident, ids: [$twinIncident]) { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.splitIncident",
        "splitIncident(id: $incident, title: \"x\", items: { findings: [$finding] }) { id }",
        &["incident:write", "incident:read"],
    ),
    Row {
        people_only: true,
        ..row(
            "Mutation.watchIncident",
            "watchIncident(id: $incident, watch: false) { id }",
            &["incident:write", "incident:read"],
        )
    },
    row(
        "Mutation.linkIncident",
        "linkIncident(id: $incident, title: \"x\", url: \"https://tickets.example/1\") { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.pauseIncidentClock",
        "pauseIncidentClock(id: $incident, kind: RESOLVE, reason: \"x\") { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.resumeIncidentClock",
        "resumeIncidentClock(id: $incident, kind: RESOLVE) { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.markIncidentSerious",
        "markIncidentSerious(id: $incident, kind: GENERAL) { id }",
        &["incident:write", "incident:read"],
    ),
    row(
        "Mutation.setCorrelationRule",
        "setCorrelationRule(id: \"shadow-agents\", enabled: true) { id }",
        &["policy:write"],
    ),
    row(
        "Mutation.ingestFindings",
        "ingestFindings(input: { tool: \"probe\", findings: [{ asset: { kind: AGENT, externalKey: \"made-by-roles\" }, rule: \"r\", layer: MODEL, severity: LOW, title: \"t\" }] }) { report { id } }",
        &["finding:ingest", "report:import", "report:read"],
    ),
    row(
        "Mutation.importReport",
        "importReport(file: $file, asset: \"made-by-roles\") { id }",
        &["report:import", "report:read"],
    ),
    row(
        "Mutation.triageFindings",
        "triageFindings(input: { ids: [$finding], action: COMMENT, reason: \"seen\" }) { changed }",
        &["finding:triage"],
    ),
    row(
        "Mutation.triageFindings",
        "triageFindings(input: { ids: [$ownFinding, $finding], action: FALSE_POSITIVE, reason: \"seen\" }) { changed }",
        &["finding:triage"],
    ),
    row(
        "Mutation.triageFindings",
        "triageFindings(input: { ids: [$ownFinding], action: ASSIGN, assignee: $user }) { changed }",
        &["finding:triage"],
    ),
    row(
        "Mutation.triageFindings",
        "triageFindings(input: { ids: [$ownFinding], action: ACCEPT_RISK, reason: \"known\", expiresAt: $soon, approver: $owner }) { changed }",
        &["finding:triage", "finding:accept-risk"],
    ),
    row("Mutation.undoTriage", "undoTriage(batch: $batch) { changed findings { title } }", &["finding:triage"]),
    row("Mutation.updateOrganization", "updateOrganization(name: $name) { id }", &["organization:update"]),
    row(
        "Mutation.inviteMember",
        "inviteMember(email: \"new@example.test\", role: VIEWER) { invitation { id } }",
        &["member:invite"],
    ),
    row(
        "Mutation.inviteMember",
        "inviteMember(email: \"new@example.test\", role: OWNER) { invitation { id } }",
        &["member:invite", "owner:grant"],
    ),
    row("Mutation.revokeInvitation", "revokeInvitation(id: $guest)", &["member:invite"]),
    row("Mutation.changeRole", "changeRole(user: $user, role: RESPONDER) { role }", &["member:update"]),
    row("Mutation.changeRole", "changeRole(user: $leaver, role: OWNER) { role }", &["member:update", "owner:grant"]),
    row("Mutation.removeMember", "removeMember(user: $leaver)", &["member:remove"]),
    row(
        "Mutation.createApiToken",
        "createApiToken(name: \"made by a role\", role: VIEWER) { token { id } }",
        &["token:create"],
    ),
    row(
        "Mutation.createApiToken",
        "createApiToken(name: \"made by a role\", role: OWNER) { token { id } }",
        &["token:create", "owner:grant"],
    ),
    row("Mutation.revokeApiToken", "revokeApiToken(id: $token) { id }", &["token:revoke"]),
    row("Mutation.redriveDeadLetter", "redriveDeadLetter(id: $deadLetter)", &["job:redrive"]),
    people("Mutation.revokeSession", "revokeSession(id: $session)"),
    people("Mutation.changePassword", "changePassword(current: $password, new: $newPassword)"),
    people("Mutation.signOutEverywhere", "signOutEverywhere"),
    row("Query.node", "node(id: $playbook) { id ... on Playbook { slug } }", &["playbook:read"]),
    row("Query.node", "node(id: $playbookRun) { id ... on PlaybookRun { title } }", &["playbook:read"]),
    row("Query.playbooks", "playbooks { id title versions { note } runs { title } }", &["playbook:read"]),
    row("Query.playbook", "playbook(id: $playbook) { id source flow { steps { id } } }", &["playbook:read"]),
    row("Query.playbookRun", "playbookRun(id: $playbookRun) { steps { state } progress { done } }", &["playbook:read"]),
    row("Query.playbookRuns", "playbookRuns { nodes { title playbook { slug } } totalCount }", &["playbook:read"]),
    row("Query.playbookRuns", "playbookRuns(filter: { playbook: $playbook }) { nodes { title } }", &["playbook:read"]),
    row("Query.validatePlaybook", "validatePlaybook(source: \"x\") { errors { line } }", &["playbook:read"]),
    row("Query.playbookSchema", "playbookSchema", &[]),
    row(
        "Mutation.savePlaybook",
        "savePlaybook(id: $playbook, source: \"{ id: probe, title: probe, summary: s, version: 1, trigger: { on: incident, when: serious }, steps: [{ id: gate, title: Gate, approval: { role: RESPONDER, question: q } }, { id: task, title: Task, task: { role: ANALYST, instructions: i } }, { id: post, title: Post, action: webhook, with: { channel: none } }, { id: stop, title: Stop, action: quarantine, with: { grade: tools-only, reason: r } }] }\") { id }",
        &["playbook:write"],
    ),
    row("Mutation.setPlaybookEnabled", "setPlaybookEnabled(id: $playbook, enabled: false) { id }", &["playbook:write"]),
    row("Mutation.archivePlaybook", "archivePlaybook(id: $oldPlaybook)", &["playbook:write"]),
    row("Mutation.runPlaybook", "runPlaybook(id: $playbook, dryRun: true) { id }", &["playbook:run"]),
    row(
        "Mutation.approvePlaybookStep",
        "approvePlaybookStep(run: $playbookRun, step: \"gate\", approve: true) { id }",
        &["playbook:approve"],
    ),
    row(
        "Mutation.completePlaybookTask",
        "completePlaybookTask(run: $playbookRun, step: \"task\") { id }",
        &["playbook:run"],
    ),
    row("Mutation.pausePlaybookRun", "pausePlaybookRun(id: $playbookRun) { id }", &["playbook:run"]),
    row("Mutation.resumePlaybookRun", "resumePlaybookRun(id: $pausedRun) { id }", &["playbook:run"]),
    row("Mutation.cancelPlaybookRun", "cancelPlaybookRun(id: $playbookRun) { id }", &["playbook:run"]),
    row("Mutation.retryPlaybookStep", "retryPlaybookStep(run: $playbookRun, step: \"post\") { id }", &["playbook:run"]),
    row("Mutation.undoPlaybookStep", "undoPlaybookStep(run: $playbookRun, step: \"stop\") { id }", &["playbook:run"]),
    row("Subscription.reports", "reports { id filename }", &["report:read"]),
    row("Subscription.findings", "findings { ids count }", &["finding:read"]),
    row(
        "Query.quarantinePreview",
        "quarantinePreview(agent: $asset) { agents { name } openSessions tokens points }",
        &["agent:quarantine", "asset:read"],
    ),
    row("Query.containments", "containments { nodes { id reason } totalCount }", &["incident:read"]),
    row("Query.containments", "containments(filter: { agent: $asset }) { nodes { reason } }", &["incident:read"]),
    row("Query.containments", "containments { nodes { agent { name } } }", &["incident:read", "asset:read"]),
    row("Query.containment", "containment(id: $containment) { id reason }", &["incident:read"]),
    row(
        "Query.containment",
        "containment(id: $containment) { points { status point { name } } }",
        &["incident:read", "sensor:read"],
    ),
    row("Query.enforcementPoints", "enforcementPoints { id name }", &["sensor:read"]),
    row("Query.node", "node(id: $containment) { id ... on Containment { reason } }", &["incident:read"]),
    row("Query.node", "node(id: $enforcementPoint) { id ... on EnforcementPoint { name } }", &["sensor:read"]),
    row(
        "Mutation.quarantineAgent",
        "quarantineAgent(agent: $asset, grade: EGRESS_ONLY, reason: \"r\", key: $fresh) { id }",
        &["agent:quarantine", "incident:read"],
    ),
    row(
        "Mutation.approveToolCall",
        "approveToolCall(containment: $containment, call: \"0000000000000000000000000000000000000000000000000000000000000000\", reason: \"r\") { id }",
        &["agent:release", "incident:read"],
    ),
    row("Mutation.releaseAgent", "releaseAgent(id: $held, reason: \"r\") { id }", &["agent:release", "incident:read"]),
    row(
        "Mutation.registerEnforcementPoint",
        "registerEnforcementPoint(name: $fresh, url: \"https://gateway.example\") { point { id } }",
        &["sensor:write", "sensor:read"],
    ),
    row("Mutation.retireEnforcementPoint", "retireEnforcementPoint(id: $enforcementPoint)", &["sensor:write"]),
    row("GET /api/v1/containment", "/api/v1/containment", &["event:ingest", "policy:read"]),
    row("POST /api/v1/containment/acknowledgements", "/api/v1/containment/acknowledgements", &["event:ingest"]),
    row("POST /api/v1/reports", "/api/v1/reports?asset=made-by-roles&filename=probe.sarif", &["report:import"]),
    row("POST /api/v1/inspect", "/api/v1/inspect", &["inspect:call"]),
    row("POST /api/v1/events", "/api/v1/events", &["event:ingest"]),
    row("POST /api/v1/heartbeat", "/api/v1/heartbeat", &["event:ingest", "policy:read"]),
    row("GET /api/v1/reports/{id}", "/api/v1/reports/$reportUuid", &["report:read"]),
    less("GET /api/v1/reports/{id}", "/api/v1/reports/$reportUuid", &["asset:read"]),
    row("GET /api/v1/findings/export", "/api/v1/findings/export", &["finding:export"]),
    row("GET /api/v1/findings/export", "/api/v1/findings/export?asset=$asset&format=ndjson", &["finding:export"]),
    row("GET /api/v1/findings/export", "/api/v1/findings/export?report=$report", &["finding:export"]),
    row("GET /api/v1/findings/export", "/api/v1/findings/export?assignee=$user", &["finding:export"]),
];
