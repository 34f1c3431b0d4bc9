//! Authorization: who may call, decided before a message is read.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::TryFutureExt;
use futures::future::{Either, MapOk};
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::server::NamedService;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;

use super::error::{self, CODE};
use crate::access::{Access, FORWARDED_HEADERS, RequestOrigin};
use crate::service::Code;

/// A service that only callers reach whom [`Access`] admits. It finds the
/// [`Caller`](crate::access::Caller) among the request's extensions.
#[derive(Clone)]
pub struct Authorize<S> {
    inner: S,
    access: Arc<Access>,
}

impl<S> Authorize<S> {
    /// Puts `access` before `inner`.
    pub fn new(inner: S, access: Access) -> Authorize<S> {
        Authorize { inner, access: Arc::new(access) }
    }
}

impl<S: NamedService> NamedService for Authorize<S> {
    const NAME: &'static str = S::NAME;
}

type AddCode = fn(Response<Body>) -> Response<Body>;

impl<S> Service<Request<Body>> for Authorize<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, MapOk<S::Future, AddCode>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.access.admit(origin(&request)) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Right(self.inner.call(request).map_ok(add_code as AddCode))
            }
            Err(denied) => {
                tracing::debug!(%denied, "gRPC call refused");
                Either::Left(ready(Ok(error::denied(denied).into_http())))
            }
        }
    }
}

/// Where a request comes from. The host name is left out: HTTP servers check it
/// against DNS rebinding by web pages, and no browser sends a page's requests in
/// the form that this server accepts (HTTP/2 without an upgrade).
fn origin(request: &Request<Body>) -> RequestOrigin<'_> {
    let headers = request.headers();
    let tcp = request.extensions().get::<TcpConnectInfo>();
    let peer = tcp.and_then(TcpConnectInfo::remote_addr).map(|addr| addr.ip());
    RequestOrigin {
        // An unknown address is treated as one of another machine.
        peer: Some(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
        forwarded: FORWARDED_HEADERS.iter().any(|name| headers.contains_key(*name)),
        authorization: text(headers, AUTHORIZATION.as_str()),
        host: None,
        origin: text(headers, ORIGIN.as_str()),
    }
}

/// A header's text. A header that is not text, or is given twice, gives the
/// empty text: it counts as present, and matches nothing.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let is_single = values.next().is_none();
    Some(value.to_str().ok().filter(|_| is_single).unwrap_or_default())
}

/// Adds the contract's code to a response with which the transport has refused
/// a message for its size, before any code of this crate saw it.
fn add_code(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let out_of_range = (tonic::Code::OutOfRange as i32).to_string();
    if headers.get("grpc-status").is_some_and(|status| *status == *out_of_range) {
        let code = HeaderValue::from_static(Code::TooLarge.as_str());
        headers.entry(CODE).or_insert(code);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Caller, Options, Secret};

    /// Answers with a given status, and with its caller.
    #[derive(Clone)]
    struct Echo(&'static str);

    impl Service<Request<Body>> for Echo {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert("grpc-status", HeaderValue::from_static(self.0));
            response.extensions_mut().insert(request.extensions().get::<Caller>().cloned());
            ready(Ok(response))
        }
    }

    async fn call(access: Options, request: Request<Body>) -> Response<Body> {
        let mut service = Authorize::new(Echo("0"), Access::new(access));
        service.call(request).await.unwrap()
    }

    fn from(peer: Option<&str>) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        if let Some(peer) = peer {
            let remote_addr = Some(format!("{peer}:1").parse().unwrap());
            request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        }
        request
    }

    /// The status, the contract's code, and whether the caller is an administrator.
    fn outcome(response: &Response<Body>) -> (&str, &str, Option<bool>) {
        let header = |name| text(response.headers(), name).unwrap_or_default();
        let caller = response.extensions().get::<Option<Caller>>().cloned().flatten();
        (header("grpc-status"), header(CODE), caller.map(|caller| caller.admin))
    }

    #[tokio::test]
    async fn without_a_token_only_this_machine_is_served() {
        let admitted = call(Options::default(), from(Some("127.0.0.1"))).await;
        assert_eq!(outcome(&admitted), ("0", "", Some(true)));
        for peer in [Some("192.0.2.7"), None] {
            let refused = call(Options::default(), from(peer)).await;
            assert_eq!(outcome(&refused), ("7", "forbidden", None), "{peer:?}");
        }
        let mut proxied = from(Some("127.0.0.1"));
        proxied.headers_mut().insert("x-real-ip", HeaderValue::from_static("192.0.2.7"));
        assert_eq!(outcome(&call(Options::default(), proxied).await), ("7", "forbidden", None));
        let insecure = Options { insecure: true, ..Options::default() };
        let admitted = call(insecure, from(Some("192.0.2.7"))).await;
        assert_eq!(outcome(&admitted), ("0", "", Some(false)));
    }

    #[tokio::test]
    async fn pages_of_other_sites_are_refused() {
        let mut request = from(Some("127.0.0.1"));
        request.headers_mut().insert(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert_eq!(outcome(&call(Options::default(), request).await), ("7", "forbidden", None));
    }

    #[tokio::test]
    async fn a_configured_token_is_required_from_every_address() {
        let options = || Options { token: Some(Secret::new("s3cret")), ..Options::default() };
        for (shown, status) in [("Bearer s3cret", "0"), ("Bearer other", "16"), ("\u{e9}", "16")] {
            for peer in ["127.0.0.1", "192.0.2.7"] {
                let mut request = from(Some(peer));
                let value = HeaderValue::from_bytes(shown.as_bytes()).unwrap();
                request.headers_mut().insert(AUTHORIZATION, value);
                assert_eq!(outcome(&call(options(), request).await).0, status, "{shown} {peer}");
            }
        }
        let mut twice = from(Some("127.0.0.1"));
        for shown in ["Bearer s3cret", "Bearer other"] {
            twice.headers_mut().append(AUTHORIZATION, HeaderValue::from_static(shown));
        }
        assert_eq!(outcome(&call(options(), twice).await).0, "16");
        let none = call(options(), from(Some("127.0.0.1"))).await;
        assert_eq!(outcome(&none), ("16", "forbidden", None));
    }

    #[tokio::test]
    async fn a_message_that_the_transport_refuses_for_its_size_gets_the_code() {
        for (status, code) in [("11", "too_large"), ("0", ""), ("3", "")] {
            let mut service = Authorize::new(Echo(status), Access::new(Options::default()));
            let response = service.call(from(Some("127.0.0.1"))).await.unwrap();
            assert_eq!(outcome(&response).1, code, "{status}");
        }
    }
}
