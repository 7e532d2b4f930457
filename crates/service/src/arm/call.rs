//! A typed request on its way through the engine.

use super::declaration::{Shown, TypeDecl};
use super::render;
use super::request::ArmRequest;
use super::view::View;
use crate::platform::Platform;
use crate::resources::Stored;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use serde_json::Value;

/// A typed request on its way through the engine.
pub(crate) struct Call<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) request: &'a ArmRequest,
    pub(crate) decl: &'static TypeDecl,
    pub(crate) view: &'static View,
    pub(crate) version: ApiVersion,
    /// The id or the scope of the request's path.
    pub(crate) asked: &'a ResourceId,
}

impl Call<'_> {
    /// The resource in this call's view, under the id by which whoever asks knows it.
    pub(super) async fn render(&self, stored: &Stored) -> Result<Value> {
        match self.decl.behavior.shown(self.asked, stored) {
            Shown::As(id) => {
                let known = Stored { id, ..stored.clone() };
                render::render(self.platform, self.decl, self.view, &known).await
            }
            Shown::AsStored | Shown::Not => render::render(self.platform, self.decl, self.view, stored).await,
        }
    }
}
