//! Who may do what: every operation of the OpenAPI document, in two organizations.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use api::{App, Permission};
use reqwest::{Method, StatusCode};
use runtime::shutdown::Shutdown;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, TestApp, minimal};
use crate::openapi::{document, operations};
use crate::schedules::daily;
use crate::tokens::{claims, hs256};

const VIEWER: &str = "export:read";
const MEMBER: &str = "export:create export:read";
pub(crate) const ADMIN: &str = "export:admin";

/// Starts the service so that it looks for permissions in the claim `scope`.
async fn start() -> TestApp {
    let builder = TestApp::builder().await;
    builder
        .with(|config| config.auth.permissions_claims = vec!["scope".to_owned()])
        .start()
        .await
}

pub(crate) fn token(user: Uuid, organization: Uuid, scope: &str) -> String {
    let mut claims = claims(user, organization);
    claims["scope"] = json!(scope);
    hs256(&claims)
}

/// An operation that needs a token.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    permission: String,
}

impl Operation {
    /// Calls it; `id` stands for what it is about.
    pub(crate) async fn call(&self, app: &TestApp, token: &str, id: Uuid) -> Answer {
        let path = self.path.replace("{id}", &id.to_string());
        let request = app.anonymous(self.method.clone(), &path).bearer_auth(token);
        Answer::to(if self.method == Method::POST {
            request.json(&minimal())
        } else {
            request
        })
        .await
    }
}

/// Lists the operations that need a token, each with the one permission that it needs.
pub(crate) async fn protected(app: &TestApp) -> Vec<Operation> {
    let document = document(app).await;
    let of = |(method, path, operation): (Method, String, &Value)| {
        let needed = operation.get("security")?;
        let [permission] = &needed[0]["token"].as_array().unwrap()[..] else {
            panic!("{method} {path} needs {needed}, which is not one permission");
        };
        Some(Operation {
            permission: permission.as_str().unwrap().to_owned(),
            method,
            path,
        })
    };
    operations(&document).into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn every_route_is_described() {
    let app = start().await;
    let document = document(&app).await;
    let described: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(_, path, _)| path)
        .collect();
    let source = include_str!("../../src/router.rs");
    let routes = source.split(".route(\"").skip(1);
    let routes: Vec<_> = routes.filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() > described.len(), "{routes:?}");
    for route in routes {
        let is_documentation = route == "/openapi.json" || route.starts_with("/docs");
        // The routes of a unit test.
        let is_described = route == "/" || described.contains(route);
        assert_ne!(is_documentation, is_described, "{route}");
    }
}

#[tokio::test]
async fn every_operation_needs_the_permission_that_it_names() {
    let app = start().await;
    for operation in protected(&app).await {
        let (method, path) = (&operation.method, &operation.path);
        let others = match operation.permission.as_str() {
            "export:create" => "openid export:read",
            "export:read" => "openid export:create",
            "export:webhooks" => "openid export:create export:read",
            "export:admin" => "openid export:create export:read export:webhooks",
            unknown => panic!("{method} {path} needs {unknown}"),
        };
        let with = |scope: &str| token(app.user, app.organization, scope);
        let nobodys = Uuid::new_v4();
        for scope in ["", others] {
            let refused = operation.call(&app, &with(scope), nobodys).await;
            refused.assert_problem(403, "permission_missing");
            let challenge = refused.header("www-authenticate");
            assert!(challenge.contains("error=\"insufficient_scope\""));
            let detail = refused.body["detail"].as_str().unwrap();
            assert!(detail.contains(&operation.permission), "{method} {path}");
        }
        for scope in [operation.permission.as_str(), ADMIN] {
            let permitted = operation.call(&app, &with(scope), nobodys).await;
            let status = permitted.status.as_u16();
            assert!(![401, 403].contains(&status), "{method} {path}: {status}");
        }
    }
}

/// Makes what the `{id}` of a path stands for, and returns its id.
async fn made(app: &TestApp, path: &str) -> Uuid {
    if path.starts_with("/api/v1/export/{id}") {
        let id = app.completed("key", Duration::from_hours(1)).await;
        return id.as_uuid();
    }
    assert!(path.starts_with("/api/v1/export/schedules/{id}"), "{path}");
    let request = app.request(Method::POST, "/api/v1/export/schedules");
    let schedule = Answer::to(request.json(&daily())).await;
    let id = schedule.body["schedule_id"].as_str();
    id.unwrap_or_else(|| panic!("{schedule:?}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn members_reach_what_is_their_own_and_admins_what_is_the_organizations() {
    let builder = TestApp::builder().await.with(|config| {
        config.auth.permissions_claims = vec!["scope".to_owned()];
        config.limits.max_schedules = 1_000;
    });
    let app = builder.start().await;
    let colleague = app.new_user_of(app.organization).await;
    let (stranger, elsewhere) = app.new_user().await;
    let callers = [
        ("its owner", app.user, app.organization, MEMBER, true),
        (
            "its owner, who may read",
            app.user,
            app.organization,
            VIEWER,
            true,
        ),
        ("a colleague", colleague, app.organization, MEMBER, false),
        (
            "a colleague who may read",
            colleague,
            app.organization,
            VIEWER,
            false,
        ),
        ("an admin", colleague, app.organization, ADMIN, true),
        ("a stranger", stranger, elsewhere, MEMBER, false),
        ("a strange admin", stranger, elsewhere, ADMIN, false),
        ("its owner elsewhere", app.user, elsewhere, MEMBER, false),
    ];
    let operations = protected(&app).await;
    let about_one = operations
        .iter()
        .filter(|operation| operation.path.contains('{'));
    for operation in about_one {
        for (who, user, organization, scope, reaches) in callers {
            let id = made(&app, &operation.path).await;
            let (place, _) = operation.path.split_once("{id}").unwrap();
            let one = format!("{place}{id}");
            let before = app.get(&one).await.body;
            let caller = token(user, organization, scope);
            let answer = operation.call(&app, &caller, id).await;
            let call = format!("{} {} of {who}", operation.method, operation.path);
            if scope != ADMIN && !scope.contains(&operation.permission) {
                answer.assert_problem(403, "permission_missing");
            } else if reaches {
                let status = answer.status;
                let is_good = status.is_success() || status.is_redirection();
                assert!(is_good, "{call}: {status}");
                continue;
            } else {
                let nobodys = operation.call(&app, &caller, Uuid::new_v4()).await;
                answer.assert_problem(404, nobodys.body["code"].as_str().unwrap());
                assert_eq!(answer.body["detail"], nobodys.body["detail"], "{call}");
            }
            assert_eq!(app.get(&one).await.body, before, "{call}");
        }
    }
}

#[tokio::test]
async fn admins_list_what_anybody_of_the_organization_has_requested() {
    let app = start().await;
    let admin = app.new_user_of(app.organization).await;
    let (stranger, elsewhere) = app.new_user().await;
    let mut ids = vec![app.create().await, app.create().await];
    ids.reverse();
    let list = async |user, organization, scope: &str, path: &str| {
        let request = app.anonymous(Method::GET, path);
        let token = token(user, organization, scope);
        Answer::to(request.bearer_auth(token)).await
    };
    let all = "/api/v1/export?scope=organization&limit=1";

    let first = list(admin, app.organization, ADMIN, all).await;
    let next = first.body["next"].as_str().unwrap();
    let second = list(admin, app.organization, ADMIN, next).await;
    assert_eq!(second.body["next"], Value::Null);
    for (page, id) in [first, second].iter().zip(&ids) {
        let exports = page.body["exports"].as_array().unwrap();
        assert_eq!(exports.len(), 1);
        assert_eq!(exports[0]["job_id"], json!(id));
        assert_eq!(exports[0]["user_id"], json!(app.user));
    }
    let none = json!([]);
    for (user, organization, scope, path) in [
        (admin, app.organization, ADMIN, "/api/v1/export"),
        (admin, app.organization, ADMIN, "/api/v1/export?scope=own"),
        (stranger, elsewhere, ADMIN, all),
    ] {
        let page = list(user, organization, scope, path).await;
        assert_eq!(page.body["exports"], none, "{path}");
    }
    let refused = list(app.user, app.organization, VIEWER, all).await;
    refused.assert_problem(403, "permission_missing");
    insta::assert_json_snapshot!(refused.body, { ".request_id" => "[request id]" });
}

#[tokio::test]
async fn members_reach_their_own_schedules_and_admins_the_organizations() {
    let app = start().await;
    let colleague = app.new_user_of(app.organization).await;
    let path = "/api/v1/export/schedules";
    let made = Answer::to(app.request(Method::POST, path).json(&daily())).await;
    let one = made.header("location");
    let with = async |method, path, scope| {
        let token = token(colleague, app.organization, scope);
        Answer::to(app.anonymous(method, path).bearer_auth(token)).await
    };

    let listed = with(Method::GET, path, MEMBER).await;
    assert_eq!(listed.body["schedules"], json!([]));
    for method in [Method::GET, Method::DELETE] {
        let refused = with(method, one, MEMBER).await;
        refused.assert_problem(404, "schedule_not_found");
    }
    assert_eq!(app.get(one).await.body, made.body);

    let listed = with(Method::GET, path, ADMIN).await;
    assert_eq!(listed.body["schedules"], json!([made.body]));
    assert_eq!(with(Method::GET, one, ADMIN).await.body, made.body);
    let deleted = with(Method::DELETE, one, ADMIN).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    app.get(one).await.assert_problem(404, "schedule_not_found");
}

#[tokio::test]
async fn roles_stand_for_permissions() {
    let builder = TestApp::builder().await.with(|config| {
        config.auth.permissions_claims = vec!["roles".to_owned()];
        config.auth.roles = HashMap::from([("viewer".to_owned(), vec![Permission::Read])]);
    });
    let app = builder.start().await;
    let mut claims = claims(app.user, app.organization);
    claims["roles"] = json!(["viewer", "billing"]);
    let viewer = hs256(&claims);
    let list = app.anonymous(Method::GET, "/api/v1/export");
    let list = Answer::to(list.bearer_auth(&viewer)).await;
    assert_eq!(list.status, StatusCode::OK);
    let create = app.anonymous(Method::POST, "/api/v1/export");
    let create = Answer::to(create.bearer_auth(&viewer).json(&minimal())).await;
    create.assert_problem(403, "permission_missing");
}

#[tokio::test]
async fn roles_that_no_token_can_name_are_an_error() {
    let mut config = TestApp::builder().await.config;
    config.auth.roles = HashMap::from([("viewer".to_owned(), vec![Permission::Read])]);
    let refusal = App::new(&config, "test", &Shutdown::default()).await.err();
    let refusal = refusal.expect("it does not start").to_string();
    assert!(
        refusal.ends_with("auth: roles need permissions_claims"),
        "{refusal}"
    );
}

/// What a token shows decides what its exports are narrowed to.
#[tokio::test]
async fn claims_narrow_what_is_exported() {
    let app = TestApp::builder().await.with(|config| {
        let narrow_by = [
            ("tenantId", "service_name"),
            ("workspace.number", "severity_number"),
        ];
        let narrow_by = narrow_by.map(|(claim, field)| (claim.to_owned(), field.to_owned()));
        config.auth.narrow_by = narrow_by.into();
    });
    let app = app.start().await;
    let created = async |changes: Value| {
        let mut claims = claims(app.user, app.organization);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let request = app.anonymous(Method::POST, "/api/v1/export");
        let request = request.bearer_auth(hs256(&claims));
        Answer::to(request.json(&minimal())).await
    };
    for (claims, narrowed_to) in [
        (json!({}), json!({})),
        (json!({ "tenantId": null, "workspace": {} }), json!({})),
        (
            json!({ "tenantId": "it's" }),
            json!({ "service_name": "it's" }),
        ),
        (json!({ "tenantId": 7 }), json!({ "service_name": "7" })),
        (
            json!({ "tenantId": "", "workspace": { "number": "17" } }),
            json!({ "service_name": "", "severity_number": "17" }),
        ),
    ] {
        let answer = created(claims).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(answer.body["narrowed_to"], narrowed_to);
    }
    for wrong in [json!(true), json!(["a"]), json!({}), json!("a\0b")] {
        let answer = created(json!({ "tenantId": wrong })).await;
        answer.assert_problem(401, "token_invalid");
    }
    let answer = created(json!({ "workspace": 7 })).await;
    answer.assert_problem(401, "token_invalid");
    let answer = created(json!({ "workspace": { "number": "many" } })).await;
    answer.assert_problem(422, "invalid_request");
    assert_eq!(answer.body["errors"][0]["pointer"], "/data_type");
}

#[tokio::test]
async fn two_claims_that_narrow_the_same_field_are_an_error() {
    let mut config = TestApp::builder().await.config;
    let claims = ["tenantId", "tenant"].map(|claim| (claim.to_owned(), "tenant_id".to_owned()));
    config.auth.narrow_by = claims.into();
    let refusal = App::new(&config, "test", &Shutdown::default()).await.err();
    let refusal = refusal.expect("it does not start").to_string();
    let wrong = "auth: narrow_by has several claims for one field";
    assert!(refusal.ends_with(wrong), "{refusal}");
}
