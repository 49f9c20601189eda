// A certified OpenID provider on loopback, for the integration tests of logins (tests/it/oidc). Prints its address and
// lives as long as its standard input is open.
//
//   /interaction/UID?account=NAME | ?deny=1   logs that account in, or says no, without any page
//   /control/rotate?alg=RS256[&keep=1]        signs with a new key; without `keep` the old ones are withdrawn
//   /control/account?name=NAME                PUT: the claims of an account
//   /control/fault?path=PATH&kind=KIND        the next answers at PATH are a redirect, huge, an error; none: as usual
//   /control/hits                             how often each path was asked for
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const accounts = new Map();
const faults = new Map();
const hits = {};
let keys = [];
let alg = 'RS256';
let provider;
let answer;

function newKey(algorithm) {
  const pair = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  }[algorithm]();
  return { ...pair.privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: algorithm };
}

function configuration() {
  const common = { id_token_signed_response_alg: alg, grant_types: ['authorization_code'], response_types: ['code'] };
  return {
    jwks: { keys },
    clients: [
      {
        ...common,
        client_id: 'giaidap',
        client_secret: 'a secret: with % and +',
        redirect_uris: ['https://giaidap.example/api/v1/auth/oidc/callback'],
      },
      {
        ...common,
        client_id: 'tool',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['https://tool.example/callback'],
      },
    ],
    cookies: { keys: ['only for tests'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'roles'] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    findAccount: (_ctx, sub) => accounts.has(sub) && {
      accountId: sub,
      claims: () => ({ sub, ...accounts.get(sub) }),
    },
    // Access tokens carry roles as they do elsewhere.
    extraTokenClaims: (_ctx, token) => ({ roles: accounts.get(token.accountId)?.roles }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    // Who has logged in has agreed.
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile email');
      for (const resource of Object.keys(ctx.oidc.resourceServers)) {
        grant.addResourceScope(resource, 'tickets:read tickets:write account:write');
      }
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, audience) => ({
          audience,
          scope: 'tickets:read tickets:write account:write',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 3600,
          jwt: { sign: { alg } },
        }),
      },
    },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 600, IdToken: 3600, Interaction: 600, Session: 600 },
  };
}

function open() {
  provider = new Provider(issuer, configuration());
  answer = provider.callback();
}

async function interact(request, response, query) {
  if (query.get('deny')) {
    await provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'No.' });
  } else {
    const login = { accountId: query.get('account') };
    await provider.interactionFinished(request, response, { login });
  }
}

async function control(request, response, action, query) {
  if (action === 'rotate') {
    alg = query.get('alg');
    keys = [newKey(alg), ...(query.get('keep') ? keys : [])];
    open();
  } else if (action === 'account') {
    const parts = [];
    for await (const part of request) parts.push(part);
    accounts.set(query.get('name'), JSON.parse(Buffer.concat(parts)));
  } else if (action === 'fault') {
    faults.set(query.get('path'), query.get('kind'));
  }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(hits));
}

function misbehave(response, kind) {
  switch (kind) {
    case 'redirect':
      response.writeHead(302, { location: 'http://127.0.0.1:9/elsewhere' }).end();
      break;
    case 'huge':
      response.writeHead(200, { 'content-type': 'application/json' }).end(`{"keys":["${'x'.repeat(1 << 20)}"]}`);
      break;
    case 'foreign':
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"issuer":"https://evil.example"}');
      break;
    default:
      response.writeHead(500).end('{}');
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  hits[url.pathname] = (hits[url.pathname] ?? 0) + 1;
  const [, first, second] = url.pathname.split('/');
  try {
    if (first === 'control') await control(request, response, second, url.searchParams);
    else if (faults.get(url.pathname)) misbehave(response, faults.get(url.pathname));
    else if (first === 'interaction') await interact(request, response, url.searchParams);
    else answer(request, response);
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

let issuer;
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  keys = [newKey(alg)];
  open();
  console.log(`listening ${issuer}`);
});
process.stdin.resume().on('end', () => process.exit(0));
