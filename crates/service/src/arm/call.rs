//! A typed request on its way through the engine.

use super::declaration::TypeDecl;
use super::render;
use super::request::ArmRequest;
use super::view::View;
use crate::platform::Platform;
use crate::resources::Stored;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::Result;
use serde_json::Value;

/// A typed request on its way through the engine.
pub(crate) struct Call<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) request: &'a ArmRequest,
    pub(crate) decl: &'static TypeDecl,
    pub(crate) view: &'static View,
    pub(crate) version: ApiVersion,
}

impl Call<'_> {
    /// The resource in this call's view.
    pub(super) async fn render(&self, stored: &Stored) -> Result<Value> {
        render::render(self.platform, self.decl, self.view, stored).await
    }
}
