//! The documents of notifications. Only the server renders their pages, so the browser has none of this.

use graphql_client::GraphQLQuery;
use serde::{Deserialize, Serialize};
use stance_shared::{NotificationChannelKind, NotificationStatus, NotificationTopic, Severity};

use super::operations::{DateTime, Role, words};

words! {
    /// How a channel does.
    NotificationChannelState { Unused = "UNUSED", Working = "WORKING", Failing = "FAILING", Disabled = "DISABLED" }
    /// How a connection to a mail server is encrypted.
    MailEncryption { Starttls = "STARTTLS", Tls = "TLS", None = "NONE" }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident in $path:tt;)+) => {$(
        $(#[$doc])*
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../backend/server/schema.graphql",
            query_path = $path,
            response_derives = "Clone, Debug",
            variables_derives = "Clone, Debug",
            skip_serializing_none,
            extern_enums(
                "NotificationChannelKind", "NotificationStatus", "NotificationTopic", "NotificationChannelState", "MailEncryption", "Severity", "Role"
            )
        )]
        pub struct $name;
    )+};
}

operations! {
    /// Channels and rules, and whom a rule could name.
    NotificationSettings in "src/gql/notification_settings.graphql";
    /// A page of messages.
    NotificationLog in "src/gql/notification_log.graphql";
    /// What came of a test.
    NotificationResult in "src/gql/notification_result.graphql";
    /// Makes or changes a webhook.
    SaveWebhook in "src/gql/save_webhook.graphql";
    /// Makes or changes a mail server.
    SaveMailChannel in "src/gql/save_mail_channel.graphql";
    /// Switches a channel on or off.
    EnableChannel in "src/gql/enable_channel.graphql";
    /// Takes a channel away.
    DeleteChannel in "src/gql/delete_channel.graphql";
    /// Sends a test.
    TestChannel in "src/gql/test_channel.graphql";
    /// Makes or changes a rule.
    SaveNotificationRule in "src/gql/save_notification_rule.graphql";
    /// Takes a rule away.
    DeleteNotificationRule in "src/gql/delete_notification_rule.graphql";
    /// Sends a message again.
    ReplayNotification in "src/gql/replay_notification.graphql";
}
