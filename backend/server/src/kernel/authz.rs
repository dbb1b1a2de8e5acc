//! Who may do what: one table of permissions, one row of it per role.
//!
//! The matrix is rendered to `backend/server/authorization.txt` (checked in, `cargo xtask regenerate`).

use std::{fmt::Write as _, str::FromStr};

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $word:literal, $summary:literal;)+) => {
        /// What a member or token is in an organization.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, async_graphql::Enum)]
        pub enum Role { $($(#[$doc])* $role),+ }

        impl Role {
            pub const ALL: &'static [Role] = &[$(Role::$role),+];

            /// The API name, for example `OWNER`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Role::$role => $word),+ }
            }

            /// One sentence for the settings page.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Role::$role => $summary),+ }
            }
        }

        impl FromStr for Role {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Role::$role),)+
                    _ => Err(format!("role must be one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

roles! {
    Owner = "OWNER", "Everything, also ending the organization and naming other owners.";
    Admin = "ADMIN", "Everything but naming owners.";
    Analyst = "ANALYST", "Imports reports, triages findings, keeps the inventory, works on incidents.";
    Responder = "RESPONDER", "Works on incidents: runs playbooks, contains and releases agents.";
    Auditor = "AUDITOR", "Reads everything, also the audit log; changes nothing.";
    Viewer = "VIEWER", "Reads posture, inventory and findings.";
    Sensor = "SENSOR", "A machine: sends reports and events, asks for verdicts; reads nothing else.";
}

macro_rules! permissions {
    ($($permission:ident = $word:literal: $($role:ident)+;)+) => {
        /// Something that can be allowed, as `noun:verb`. Every entry of the API names one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($permission),+ }

        impl Permission {
            pub const ALL: &'static [Permission] = &[$(Permission::$permission),+];

            /// `noun:verb`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Permission::$permission => $word),+ }
            }

            const fn roles(self) -> &'static [Role] {
                match self { $(Permission::$permission => &[$(Role::$role),+]),+ }
            }
        }

        impl FromStr for Permission {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Permission::$permission),)+
                    _ => Err(format!("unknown permission; allowed are {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

permissions! {
    OrganizationRead   = "organization:read":    Owner Admin Analyst Responder Auditor Viewer Sensor;
    OrganizationUpdate = "organization:update":  Owner Admin;
    OwnerGrant         = "owner:grant":          Owner;
    MemberRead         = "member:read":          Owner Admin Analyst Responder Auditor Viewer;
    MemberInvite       = "member:invite":        Owner Admin;
    MemberUpdate       = "member:update":        Owner Admin;
    MemberRemove       = "member:remove":        Owner Admin;
    InvitationRead     = "invitation:read":      Owner Admin Auditor;
    TokenRead          = "token:read":           Owner Admin Auditor;
    TokenCreate        = "token:create":         Owner Admin;
    TokenRevoke        = "token:revoke":         Owner Admin;
    AccountManage      = "account:manage":       Owner Admin Analyst Responder Auditor Viewer;
    PostureRead        = "posture:read":         Owner Admin Analyst Responder Auditor Viewer;
    AssetRead          = "asset:read":           Owner Admin Analyst Responder Auditor Viewer;
    AssetWrite         = "asset:write":          Owner Admin Analyst;
    FindingRead        = "finding:read":         Owner Admin Analyst Responder Auditor Viewer;
    FindingIngest      = "finding:ingest":       Owner Admin Analyst Sensor;
    FindingTriage      = "finding:triage":       Owner Admin Analyst Responder;
    FindingAcceptRisk  = "finding:accept-risk":  Owner Admin Analyst;
    FindingApproveRisk = "finding:approve-risk": Owner Admin;
    FindingExport      = "finding:export":       Owner Admin Analyst Auditor;
    ReportRead         = "report:read":          Owner Admin Analyst Responder Auditor Viewer Sensor;
    ReportImport       = "report:import":        Owner Admin Analyst Sensor;
    AuditRead          = "audit:read":           Owner Admin Auditor;
    JobRead            = "job:read":             Owner Admin Auditor;
    JobRedrive         = "job:redrive":          Owner Admin;
    EventRead          = "event:read":           Owner Admin Analyst Responder Auditor;
    EventIngest        = "event:ingest":         Owner Admin Sensor;
    InspectCall        = "inspect:call":         Owner Admin Analyst Responder Sensor;
    SensorRead         = "sensor:read":          Owner Admin Analyst Responder Auditor Viewer;
    SensorWrite        = "sensor:write":         Owner Admin;
    PolicyRead         = "policy:read":          Owner Admin Analyst Responder Auditor Sensor;
    PolicyWrite        = "policy:write":         Owner Admin;
    IncidentRead       = "incident:read":        Owner Admin Analyst Responder Auditor Viewer;
    IncidentWrite      = "incident:write":       Owner Admin Analyst Responder;
    PlaybookRead       = "playbook:read":        Owner Admin Analyst Responder Auditor Viewer;
    PlaybookWrite      = "playbook:write":       Owner Admin;
    PlaybookRun        = "playbook:run":         Owner Admin Analyst Responder;
    PlaybookApprove    = "playbook:approve":     Owner Admin Responder;
    AgentQuarantine    = "agent:quarantine":     Owner Admin Responder;
    AgentRelease       = "agent:release":        Owner Admin Responder;
    NotificationRead   = "notification:read":    Owner Admin Analyst Responder Auditor;
    NotificationWrite  = "notification:write":   Owner Admin;
}

impl Role {
    /// Whether the role holds the permission.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        permission.roles().contains(&self)
    }

    /// The role's permissions, in the table's order.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |p| self.allows(*p))
    }
}

impl Permission {
    /// Whether holders only look: the transaction is then opened READ ONLY.
    #[must_use]
    pub fn reads_only(self) -> bool {
        self.as_str().ends_with(":read") || self.as_str().ends_with(":export")
    }
}

/// The matrix as text: permissions down, roles across.
#[must_use]
pub fn matrix() -> String {
    let mut text = format!("{:<22}", "permission");
    for role in Role::ALL {
        let _ = write!(text, "{:<11}", role.as_str());
    }
    for permission in Permission::ALL {
        let _ = write!(text, "\n{:<22}", permission.as_str());
        for role in Role::ALL {
            let _ = write!(text, "{:<11}", if role.allows(*permission) { "x" } else { "." });
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_matrix_is_the_one_in_force() {
        assert_eq!(include_str!("../../authorization.txt"), matrix(), "run `cargo xtask regenerate`");
    }

    #[test]
    fn owners_hold_everything_and_auditors_only_look() {
        assert!(Permission::ALL.iter().all(|p| Role::Owner.allows(*p)));
        assert!(Role::Auditor.permissions().all(|p| p.reads_only() || p == Permission::AccountManage));
    }

    #[test]
    fn words_are_noun_colon_verb_and_read_back() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().split(':').count(), 2);
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
    }
}
