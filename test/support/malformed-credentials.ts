/**
 * Credentials that are bad, each in its own way: what is presented, and why nobody may accept it.
 */
import { encoded, type SigningKey, signHmac, signJwt } from './issuer.ts'

export interface BadCredential {
  readonly why: string
  readonly credential: string
}

export interface BadCredentialNeeds {
  /** That the issuer publishes. */
  readonly key: SigningKey
  /** That nobody knows. */
  readonly stranger: SigningKey
  /** Good in everything but what is given. */
  claims(own?: object): Record<string, unknown>
}

/** Nothing in it depends on chance. */
export function badCredentials({ key, stranger, claims }: BadCredentialNeeds): BadCredential[] {
  const bad: BadCredential[] = []
  const add = (why: string, credential: string): void => void bad.push({ why, credential })
  const good = signJwt(key, claims())
  const [head = '', body = '', signature = ''] = good.split('.')
  const unsigned = (header: object, payload: unknown = claims()): string =>
    `${encoded({ typ: 'JWT', kid: key.kid, ...header })}.${encoded(payload)}.`

  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    'noNe',
    'none ',
    ' none',
    'none\0',
    '',
    null,
    0,
    [],
    {},
  ]) {
    add(`algorithm ${JSON.stringify(alg)}, no signature`, unsigned({ alg }))
    add(`algorithm ${JSON.stringify(alg)}, the signature of another`, unsigned({ alg }) + signature)
    add(`algorithm ${JSON.stringify(alg)}, a signature of one byte`, `${unsigned({ alg })}AA`)
  }
  add('no algorithm', unsigned({}))

  const pem = key.publicKey.export({ type: 'spki', format: 'pem' })
  const publicForms: [string, string | Buffer][] = [
    ['PEM', pem],
    ['PEM, trimmed', String(pem).trim()],
    ['DER', key.publicKey.export({ type: 'spki', format: 'der' })],
    ['JWK', JSON.stringify(key.jwk)],
    ['modulus', Buffer.from(String(key.jwk.n), 'base64url')],
    ['nothing', ''],
  ]
  for (const [form, secret] of publicForms) {
    for (const alg of ['HS256', 'HS384', 'HS512', 'RS256'])
      add(`${alg}, an HMAC with the public key as ${form}`, signHmac(secret, claims(), { alg, kid: key.kid }))
  }

  for (const alg of [
    'RS1',
    'RS384',
    'RS512',
    'PS256',
    'ES256',
    'ES256K',
    'EdDSA',
    'dir',
    'A256GCM',
    'rs256',
    'RS256 ',
  ])
    add(`algorithm ${alg} over a signature by RS256`, signJwt(key, claims(), { alg }))

  for (const kid of [
    '../../../../dev/null',
    '/dev/null',
    '..\\..\\windows\\win.ini',
    'file:///etc/passwd',
    'http://127.0.0.1:1/jwks',
    "' OR '1'='1",
    'key-1; ls',
    '$(id)',
    '__proto__',
    'constructor',
    '\0',
    'x'.repeat(4000),
    '',
  ]) {
    add(`kid ${kid.slice(0, 24)} by a stranger`, signJwt(stranger, claims(), { kid }))
    add(`kid ${kid.slice(0, 24)}, an HMAC with nothing`, signHmac('', claims(), { kid }))
  }
  for (const kid of [null, 1, true, [], {}, ['a'], { a: 1 }])
    add(`kid of type ${JSON.stringify(kid)}`, signJwt(key, claims(), { kid }))

  add('a stranger who uses a known kid', signJwt(stranger, claims(), { kid: key.kid }))
  add('a stranger who brings the key', signJwt(stranger, claims(), { jwk: stranger.jwk }))
  add('a stranger who says where the key is', signJwt(stranger, claims(), { jku: 'http://127.0.0.1:1/' }))
  add('a stranger with x5u', signJwt(stranger, claims(), { x5u: 'http://127.0.0.1:1/' }))
  add('a stranger with x5c', signJwt(stranger, claims(), { x5c: ['MIIB'] }))
  add('a stranger without kid', signJwt(stranger, claims(), { kid: undefined }))
  for (const crit of [['exp'], ['b64'], [], ['x'], 'exp', null, 1, {}])
    add(`crit ${JSON.stringify(crit)}`, signJwt(key, claims(), { crit }))
  add('b64 false', signJwt(key, claims(), { b64: false, crit: ['b64'] }))
  for (const typ of [
    'dpop+jwt',
    'logout+jwt',
    'secevent+jwt',
    'token-introspection+jwt',
    'JWS',
    '',
    null,
    1,
    [],
  ])
    add(`type ${JSON.stringify(typ)}`, signJwt(key, claims(), { typ }))

  const now = Math.floor(Date.now() / 1000)
  const wrong: [string, object][] = [
    ['exp', { exp: now - 60 }],
    ['exp', { exp: 0 }],
    ['exp', { exp: -1 }],
    ['exp', { exp: undefined }],
    ...[null, 'never', `${now + 600}`, true, [], {}, [now + 600]].map((exp): [string, object] => [
      'exp',
      { exp },
    ]),
    ['nbf', { nbf: now + 600 }],
    ...['soon', null, true, [], {}].map((nbf): [string, object] => ['nbf', { nbf }]),
    ['iss', { iss: undefined }],
    ...[null, 1, [], {}, ['x'], '', 'https://elsewhere.example', `${claims().iss}/`, ` ${claims().iss}`].map(
      (iss): [string, object] => ['iss', { iss }],
    ),
    ['aud', { aud: undefined }],
    ...[
      null,
      1,
      [],
      {},
      '',
      'other',
      ['other'],
      ['SALLYPORT'],
      'sallyport ',
      [['sallyport']],
      { sallyport: 1 },
    ].map((aud): [string, object] => ['aud', { aud }]),
    ['sub', { sub: undefined }],
    ...[null, 1, true, [], {}, '', ['ana'], 'x'.repeat(300)].map((sub): [string, object] => ['sub', { sub }]),
    ...[1, true, {}, [1], ['a', null], [['a']], [''], { 0: 'admin' }].map((roles): [string, object] => [
      'roles',
      { roles },
    ]),
    ...[1, true, [], {}, '', ['search']].map((team): [string, object] => ['team', { team }]),
    ...[1, [], {}, ''].map((kind): [string, object] => ['kind', { kind }]),
    ...[1, [], {}, true].map((azp): [string, object] => ['azp', { azp }]),
  ]
  for (const [name, own] of wrong)
    add(`claim ${name}: ${JSON.stringify(own).slice(0, 40)}`, signJwt(key, claims(own)))
  add('exp beyond every calendar', signJwt(key, JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')))
  add('exp beyond the year 9999', signJwt(key, claims({ exp: 1e15 })))
  let nested: unknown = 'bottom'
  for (let depth = 0; depth < 400; depth++) nested = { a: nested }
  add('claims nested 400 deep', signJwt(key, claims({ nested })))

  for (const payload of ['null', '[]', '"text"', '1', 'true', '', '{', '{"iss":', '\uFEFF{}'])
    add(`a payload that is ${JSON.stringify(payload)}`, signJwt(key, payload))
  add('a JWT inside of a JWT', signJwt(key, good, { cty: 'JWT' }))
  add('a JWT as the header', `${encoded(good)}.${body}.${signature}`)

  for (const length of [1, 2, 8, 32, 64, 128, signature.length - 1, signature.length - 2])
    add(`a signature cut to ${length}`, `${head}.${body}.${signature.slice(0, length)}`)
  for (const length of [1, 4, 16, body.length - 1, body.length - 2])
    add(`a payload cut to ${length}`, `${head}.${body.slice(0, length)}.${signature}`)
  for (const length of [1, 4, 16, head.length - 1])
    add(`a header cut to ${length}`, `${head.slice(0, length)}.${body}.${signature}`)
  for (let index = 0; index < 24; index++) {
    const at = Math.floor((index / 24) * (body.length - 2))
    const other = body[at] === 'A' ? 'B' : 'A'
    add(`payload changed at ${at}`, `${head}.${body.slice(0, at)}${other}${body.slice(at + 1)}.${signature}`)
  }
  add('another payload under the signature', `${head}.${encoded(claims({ sub: 'root' }))}.${signature}`)
  add('zeros for a signature', `${head}.${body}.${Buffer.alloc(256).toString('base64url')}`)
  add('a signature with padding', `${good}==`)
  add('a signature in another alphabet', `${head}.${body}.${signature.slice(0, -4)}+/+/`)
  for (const text of [
    '.',
    '..',
    '...',
    '....',
    `${head}`,
    `${head}.`,
    `${head}..`,
    `.${body}.${signature}`,
    `${head}..${signature}`,
    `${head}.${body}`,
    `${head}.${body}.`,
    `${good}.`,
    `.${good}`,
    `${good}.${signature}`,
    `${good}.a.b`,
    'a.b.c',
    '%.%.%',
    'e30.e30.e30',
    `${encoded({ alg: 'RS256' })}.e30.`,
    '-'.repeat(3000),
    `${'a'.repeat(2000)}.${'b'.repeat(2000)}.${'c'.repeat(2000)}`,
    `${head}.${encoded(claims({ pad: 'x'.repeat(6000) }))}.${signature}`,
    `${'.'.repeat(5000)}`,
    'slp_',
    'slp__',
    'slp_0000000000_00000000000000000000000000000000000000',
    `slp_${'a'.repeat(10)}_${'b'.repeat(38)}`,
    `slp_${good}`,
    `slp_../../keys.json`,
    'null',
    'undefined',
    '[object Object]',
    'true',
    '{}',
    '""',
    "'--",
    '<script>',
    'Bearer',
  ]) {
    add(`the text ${text.slice(0, 24)}`, text)
  }
  return bad
}
