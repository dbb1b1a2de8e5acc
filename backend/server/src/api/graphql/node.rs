//! Global ids: `finding:0192…`, a noun and a UUID. Readable on purpose; what they name is protected by the tenant.

use super::{containment, findings, identity, imports, inventory, notify, playbooks, runtime};
use crate::kernel::{Error, Result};
use async_graphql::{Context, ID, Interface, Object};
use stance_shared::{
    AgentSessionId, AssetId, ChannelId, ContainmentId, DecisionId, DeliveryId, EnforcementPointId, EventId, FindingId,
    InvitationId, PlaybookId, PlaybookRunId, PolicyId, RelationId, ReportId, RuleId, SensorId, TenantId, TokenId,
    TypedId, UserId,
};
use uuid::Uuid;

/// The global id of a thing.
#[must_use]
pub fn id<T: TypedId>(of: T) -> ID {
    let uuid: Uuid = of.into();
    ID(format!("{}:{uuid}", T::NOUN))
}

/// Reads the global id given as `field`.
///
/// # Errors
/// `BAD_INPUT` naming the noun that is expected, when the id is of something else or not an id.
pub fn parse<T: TypedId>(field: &str, id: &ID) -> Result<T> {
    parse_text(field, id)
}

fn parse_text<T: TypedId>(field: &str, id: &str) -> Result<T> {
    let uuid = id.split_once(':').filter(|(noun, _)| *noun == T::NOUN).and_then(|(_, uuid)| canonical(uuid));
    uuid.map(T::from).ok_or_else(|| Error::field(field, format!("must be of the form {0}:UUID", T::NOUN)))
}

/// Only the one form that [`id`] writes, so that a thing has one id.
fn canonical(text: &str) -> Option<Uuid> {
    text.parse::<Uuid>().ok().filter(|uuid| uuid.as_hyphenated().to_string() == text)
}

/// Reads a list of global ids.
///
/// # Errors
/// As [`parse`], naming the position; also when there are more than `limit` or none.
pub fn parse_all<T: TypedId>(field: &str, ids: &[ID], limit: usize) -> Result<Vec<T>> {
    if ids.is_empty() || ids.len() > limit {
        return Err(Error::field(field, format!("must be 1 to {limit} ids")));
    }
    ids.iter().enumerate().map(|(at, id)| parse_text(&format!("{field}[{at}]"), id)).collect()
}

/// Something with a global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub enum Node {
    AgentSession(runtime::AgentSession),
    ApiToken(identity::ApiToken),
    Asset(inventory::Asset),
    Containment(containment::Containment),
    Decision(findings::Decision),
    EnforcementPoint(containment::EnforcementPoint),
    Event(runtime::AgentEvent),
    Finding(findings::Finding),
    Invitation(identity::Invitation),
    NotificationChannel(notify::NotificationChannel),
    NotificationDelivery(notify::NotificationDelivery),
    NotificationRule(notify::NotificationRule),
    Organization(identity::Organization),
    Playbook(playbooks::Playbook),
    PlaybookRun(playbooks::PlaybookRun),
    Policy(runtime::Policy),
    Relation(inventory::Relation),
    Report(imports::Report),
    Sensor(runtime::Sensor),
    User(identity::User),
}

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its id; null when there is no such thing.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<Option<Node>> {
        Ok(match id.split_once(':').map(|(noun, _)| noun) {
            Some(AssetId::NOUN) => inventory::load(ctx, parse("id", &id)?).await?.map(Node::Asset),
            Some(UserId::NOUN) => identity::load_user(ctx, Some(parse("id", &id)?)).await?.map(Node::User),
            Some(TenantId::NOUN) => identity::load_organization(ctx, parse("id", &id)?).await?.map(Node::Organization),
            Some(InvitationId::NOUN) => identity::load_invitation(ctx, parse("id", &id)?).await?.map(Node::Invitation),
            Some(TokenId::NOUN) => identity::load_token(ctx, parse("id", &id)?).await?.map(Node::ApiToken),
            Some(RelationId::NOUN) => inventory::load_relation(ctx, parse("id", &id)?).await?.map(Node::Relation),
            Some(FindingId::NOUN) => findings::load(ctx, parse("id", &id)?).await?.map(Node::Finding),
            Some(ReportId::NOUN) => imports::load(ctx, parse("id", &id)?).await?.map(Node::Report),
            Some(EventId::NOUN) => runtime::load_event(ctx, parse("id", &id)?).await?.map(Node::Event),
            Some(AgentSessionId::NOUN) => runtime::load_session(ctx, parse("id", &id)?).await?.map(Node::AgentSession),
            Some(PolicyId::NOUN) => runtime::load_policy(ctx, parse("id", &id)?).await?.map(Node::Policy),
            Some(PlaybookId::NOUN) => playbooks::load(ctx, parse("id", &id)?).await?.map(Node::Playbook),
            Some(PlaybookRunId::NOUN) => playbooks::load_run(ctx, parse("id", &id)?).await?.map(Node::PlaybookRun),
            Some(SensorId::NOUN) => runtime::load_sensor(ctx, parse("id", &id)?).await?.map(Node::Sensor),
            Some(ContainmentId::NOUN) => containment::load(ctx, parse("id", &id)?).await?.map(Node::Containment),
            Some(EnforcementPointId::NOUN) => {
                containment::load_point(ctx, parse("id", &id)?).await?.map(Node::EnforcementPoint)
            }
            Some(DecisionId::NOUN) => findings::load_decision(ctx, parse("id", &id)?).await?.map(Node::Decision),
            Some(ChannelId::NOUN) => notify::load_channel(ctx, parse("id", &id)?).await?.map(Node::NotificationChannel),
            Some(RuleId::NOUN) => notify::load_rule(ctx, parse("id", &id)?).await?.map(Node::NotificationRule),
            Some(DeliveryId::NOUN) => {
                notify::load_delivery(ctx, parse("id", &id)?).await?.map(Node::NotificationDelivery)
            }
            _ => {
                let nouns = [
                    AgentSessionId::NOUN,
                    AssetId::NOUN,
                    ContainmentId::NOUN,
                    DecisionId::NOUN,
                    EnforcementPointId::NOUN,
                    EventId::NOUN,
                    FindingId::NOUN,
                    InvitationId::NOUN,
                    ChannelId::NOUN,
                    DeliveryId::NOUN,
                    RuleId::NOUN,
                    TenantId::NOUN,
                    PlaybookId::NOUN,
                    PlaybookRunId::NOUN,
                    PolicyId::NOUN,
                    RelationId::NOUN,
                    ReportId::NOUN,
                    SensorId::NOUN,
                    TokenId::NOUN,
                    UserId::NOUN,
                ]
                .join(", ");
                return Err(Error::field("id", format!("must be written NOUN:UUID, NOUN being one of {nouns}")).into());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_others_are_refused_by_noun() {
        let asset = AssetId(Uuid::from_u128(7));
        assert_eq!(parse::<AssetId>("id", &id(asset)).unwrap(), asset);
        for text in [
            "",
            "asset",
            "asset:",
            "asset:7",
            "finding:00000000-0000-0000-0000-000000000007",
            "asset:00000000000000000000000000000007",
        ] {
            let error = parse::<AssetId>("id", &text.into()).unwrap_err();
            assert_eq!(error.public, "id: must be of the form asset:UUID");
        }
        let error = parse_all::<FindingId>("ids", &[id(FindingId(Uuid::nil())), id(asset)], 5).unwrap_err();
        assert_eq!(error.fields[0].field, "ids[1]");
        assert!(parse_all::<FindingId>("ids", &[], 5).is_err());
    }
}
