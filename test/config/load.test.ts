// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the config's own variables are written so
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, readConfig } from '../../src/config/load.ts'
import type { GatewayConfig } from '../../src/contract/config.schema.ts'
import type { Finding } from '../../src/contract/findings.ts'
import { temporaryFolder } from '../support/folder.ts'

const FOLDER = path.resolve('/etc/sallyport')
const POOLS = '"pools": {"chat": {"models": ["tiny"], "targets": [{"url": "http://127.0.0.1:9001"}]}}'

function read(text: string, env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const readFile = (name: string): string => {
    const content = files[name]
    if (content === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return content
  }
  return readConfig(text, 'gateway.config.json', FOLDER, { env, readFile })
}

function good(
  text: string,
  env: Record<string, string> = {},
  files: Record<string, string> = {},
): GatewayConfig {
  const { config, findings } = read(text, env, files)
  expect(findings).toEqual([])
  return config as GatewayConfig
}

function bad(
  text: string,
  env: Record<string, string> = {},
  files: Record<string, string> = {},
): readonly Finding[] {
  const { config, findings } = read(text, env, files)
  expect(config).toBeUndefined()
  return findings
}

/** A config with one target, of which some members are given. */
const withTarget = (members: string): string =>
  `{"pools": {"chat": {"models": ["tiny"], "targets": [{"url": "http://a", ${members}}]}}}`

describe('the smallest useful config', () => {
  it('is one pool with one target; all else is as the contract says', () => {
    expect(good(`{"policy": {"path": "rules"}, ${POOLS}}`)).toEqual({
      listen: {
        host: '127.0.0.1',
        port: 8080,
        drain: '30s',
        timeouts: { headers: '10s', body: '60s', idle: '65s', stalled: '30s' },
        trustedProxies: [],
      },
      access: { webhooks: [] },
      admin: { host: '127.0.0.1', port: 8081, tokens: [], hosts: [] },
      policy: {
        path: path.join(FOLDER, 'rules'),
        entrypoint: 'gateway/decision',
        watch: true,
        builtinErrors: 'refuse',
        maxMemory: '64MiB',
        signature: { required: false, publicKeyFile: [] },
        activation: { tests: true, maxEvaluation: '5ms', replay: { last: 0, maxFlips: 0 } },
      },
      identity: { apiKeys: { file: path.join(FOLDER, 'keys.json') }, jwt: [], introspection: [] },
      pools: {
        chat: {
          models: ['tiny'],
          balance: 'least_in_flight',
          forwardHeaders: [],
          upstreamErrors: 'replace',
          targets: [{ url: 'http://127.0.0.1:9001', kind: 'openai', weight: 1, headers: {} }],
          prefix: { characters: 4096 },
          health: { path: '/health', interval: '5s', timeout: '2s', healthyAfter: 2, unhealthyAfter: 3 },
          timeouts: { connect: '2s', firstByte: '120s', idle: '60s', total: '15m' },
          retry: { attempts: 2, budget: 0.2 },
          breaker: { failures: 5, openFor: '10s' },
          queue: { max: 100, timeout: '30s' },
          answer: {},
        },
      },
      store: { engine: 'memory', onFailure: 'refuse' },
      pricing: {},
      telemetry: { serviceName: 'sallyport' },
      audit: {
        sinks: [{ type: 'file', path: path.join(FOLDER, 'audit.jsonl'), sync: '1s' }],
        onFailure: 'refuse',
        content: 'none',
      },
      limits: {
        body: '1MiB',
        headers: '16KiB',
        connections: 10000,
        connectionsPerAddress: 1000,
        unauthenticated: { limit: 300, window: '1m' },
      },
    })
  })

  it('lets nobody in without a credential unless told to', () => {
    expect(good(`{${POOLS}}`).identity.anonymous).toBeUndefined()
    expect(good(`{${POOLS}, "identity": {"anonymous": {"id": "guest"}}}`).identity.anonymous).toEqual({
      id: 'guest',
      kind: 'anonymous',
      roles: [],
    })
  })

  it('needs pools, and does not make them up', () => {
    expect(bad('{}')).toMatchObject([{ code: 'config_invalid', line: 1 }])
    expect(bad('{"pools": {}}')).toHaveLength(1)
  })

  it('gives each reading defaults of its own', () => {
    const [one, other] = [good(`{${POOLS}}`), good(`{${POOLS}}`)]
    expect(one.audit.sinks).not.toBe(other.audit.sinks)
    expect(one.limits).not.toBe(other.limits)
  })
})

describe('the text', () => {
  it('may have comments and trailing commas', () => {
    good(`{ // why\n /* and\n how */ "$schema": "./s.json", ${POOLS},\n}`)
  })

  it.each([
    ['half a file', '{"pools": {', 1],
    ['something after the value', `{${POOLS}}\n{}`, 2],
    ['nothing', '', 1],
    ['no JSON', 'pools: {}', 1],
  ])('is refused with a line when it is %s', (_what, text, line) => {
    const [finding] = bad(text)
    expect(finding).toMatchObject({
      severity: 'error',
      code: 'config_syntax',
      file: 'gateway.config.json',
      line,
    })
  })

  it.each(['[]', 'null', '"text"', '5'])('is refused when it is %s and no object', text => {
    expect(bad(text)).toMatchObject([{ code: 'config_invalid' }])
  })

  it("may not give a key twice: which one counts would be anybody's guess", () => {
    const findings = bad(`{\n  ${POOLS},\n  "listen": {"port": 1,\n    "port": 2}\n}`)
    expect(findings).toMatchObject([{ code: 'config_duplicate', line: 4, column: 5 }])
  })
})

describe('an unknown key', () => {
  it('is a finding at its own line and column, with the key that was meant', () => {
    const findings = bad(`{\n  ${POOLS},\n  "listen": {\n    "prot": 9000\n  }\n}`)
    expect(findings).toMatchObject([
      { code: 'config_unknown_key', line: 4, column: 5, file: 'gateway.config.json' },
    ])
    expect(findings[0]?.message).toContain('listen.prot')
    expect(findings[0]?.message).toContain('"port"')
  })

  it('is found in a list of objects', () => {
    const [finding] = bad(
      '{"pools": {"chat": {"models": ["a"], "targets": [\n{"url": "http://a"},\n{"url": "http://b", "wieght": 2}]}}}',
    )
    expect(finding).toMatchObject({ code: 'config_unknown_key', line: 3, column: 21 })
    expect(finding?.message).toContain('pools.chat.targets[1].wieght')
    expect(finding?.message).toContain('"weight"')
  })

  it('is told together with all others', () => {
    expect(bad(`{${POOLS}, "lissten": {}, "audit": {"sink": []}}`).map(finding => finding.code)).toEqual([
      'config_unknown_key',
      'config_unknown_key',
    ])
  })

  it.each(['__proto__', 'constructor', 'toString'])('is not overlooked when it is %s', key => {
    expect(bad(`{${POOLS}, "${key}": {"port": 1}}`)).toMatchObject([{ code: 'config_unknown_key' }])
  })
})

describe('a value that does not fit', () => {
  it.each([
    ['a port beyond 65535', '"listen": {"port": 70000}'],
    ['a port as text', '"listen": {"port": "8080"}'],
    ['a duration without a unit', '"listen": {"drain": "30"}'],
    ['a size without a unit', '"limits": {"body": "100"}'],
    ['an empty admin token', '"admin": {"token": ""}'],
    ['a short key for masks', '"audit": {"maskKey": "short"}'],
    ['an unknown engine', '"store": {"engine": "mysql"}'],
    ['no audit sink', '"audit": {"sinks": []}'],
    ['an entrypoint that is no path', '"policy": {"entrypoint": "gateway"}'],
    ['true where only false is an answer', '"limits": {"unauthenticated": true}'],
  ])('is a finding: %s', (_what, member) => {
    expect(bad(`{${POOLS},\n ${member}}`)).toMatchObject([{ code: 'config_invalid', line: 2 }])
  })

  it.each(['ftp://a', 'a:9001', 'http://', 'http://a?x=1', 'http://a b'])(
    'is a finding: the target url %s',
    url => {
      expect(bad(`{"pools": {"chat": {"models": ["a"], "targets": [{"url": "${url}"}]}}}`)).toMatchObject([
        { code: 'config_invalid' },
      ])
    },
  )

  it('is none: an admin token of any length', () => {
    expect(good(`{${POOLS}, "admin": {"token": "t0ken"}}`).admin.token).toBe('t0ken')
  })

  it('says how many there must be', () => {
    expect(bad(`{${POOLS}, "audit": {"sinks": []}}`)[0]?.message).toBe(
      'audit.sinks: expected at least 1 items, got a list',
    )
  })

  it('says the JSON path', () => {
    expect(bad(withTarget('"weight": 0'))[0]?.message).toContain('pools.chat.targets[0].weight')
  })

  it('is found in its place, also in a pool whose name is a number', () => {
    for (const name of ['1', '007', '99999999999999999999']) {
      const findings = bad(
        `{"pools": {"${name}": {"models": ["a"], "targets": [\n{"url": "http://a",\n"weight": -1}]}}}`,
      )
      expect(findings).toMatchObject([{ line: 3, column: 11 }])
      expect(findings[0]?.message).toContain(`pools.${name}.targets[0].weight`)
    }
  })

  it.each(['http://:99999', 'http://h:99999', 'http://[::g]'])(
    'is a finding before anything is built from it: the target url %s',
    url => {
      expect(bad(`{"pools": {"chat": {"models": ["a"], "targets": [{"url": "${url}"}]}}}`)).toMatchObject([
        { code: 'invalid_url', line: 1 },
      ])
    },
  )

  it.each(['"a b": "x"', '"": "x"', '"x": "a\\nb"', '"x": "☃"'])(
    'is a finding before the first request meets it: the target header %s',
    header => {
      expect(bad(withTarget(`"headers": {${header}}`))).toMatchObject([{ code: 'invalid_header' }])
    },
  )

  it.each(['0s', '0ms', '0h0m'])(
    'is a finding: the window %s, which would be no limit or one for ever',
    window => {
      expect(
        bad(`{${POOLS}, "limits": {"unauthenticated": {"limit": 3, "window": "${window}"}}}`),
      ).toMatchObject([{ code: 'config_invalid' }])
    },
  )
})

describe('variables', () => {
  it('are read from the environment, in the middle of a string too', () => {
    const config = good(withTarget('"apiKey": "${KEY}", "headers": {"x-a": "<${KEY}|${KEY}>"}'), {
      KEY: 'k1',
    })
    expect(config.pools.chat?.targets[0]).toMatchObject({ apiKey: 'k1', headers: { 'x-a': '<k1|k1>' } })
  })

  it('have a default, which also answers for an empty one', () => {
    expect(good(withTarget('"apiKey": "${KEY:-other}"')).pools.chat?.targets[0]?.apiKey).toBe('other')
    expect(good(withTarget('"apiKey": "${KEY:-other}"'), { KEY: '' }).pools.chat?.targets[0]?.apiKey).toBe(
      'other',
    )
    expect(
      good(withTarget('"apiKey": "${KEY:-other}"'), { KEY: 'mine' }).pools.chat?.targets[0]?.apiKey,
    ).toBe('mine')
  })

  it('are read from files, without the last line feed', () => {
    for (const content of ['s3cret', 's3cret\n', 's3cret\r\n']) {
      expect(
        good(withTarget('"apiKey": "${file:run/key}"'), {}, { 'run/key': content }).pools.chat?.targets[0]
          ?.apiKey,
      ).toBe('s3cret')
    }
  })

  it('are not looked for in what a variable held', () => {
    expect(good(withTarget('"apiKey": "${KEY}"'), { KEY: '${HOME}' }).pools.chat?.targets[0]?.apiKey).toBe(
      '${HOME}',
    )
  })

  it('that are missing are findings at their path and line, and never an empty string', () => {
    const findings = bad(`{\n${POOLS},\n"admin": {"token":\n"\${ADMIN_TOKEN}"}}`)
    expect(findings).toMatchObject([{ code: 'config_variable', line: 4, column: 1 }])
    expect(findings[0]?.message).toContain('admin.token')
    expect(findings[0]?.message).toContain('ADMIN_TOKEN')
  })

  it('whose file cannot be read are findings', () => {
    expect(bad(withTarget('"apiKey": "${file:gone}"'))).toMatchObject([{ code: 'config_variable' }])
  })

  it.each(['${}', '${not a name}', '${1X}', '${NAME-default}'])(
    'that are malformed, such as %s, are findings',
    text => {
      expect(bad(withTarget(`"apiKey": "${text}"`))).toMatchObject([{ code: 'config_variable' }])
    },
  )

  it('are all told at once', () => {
    expect(bad(withTarget('"apiKey": "${A} ${B}", "headers": {"x": "${C}"}'))).toHaveLength(3)
  })
})

describe('a string that came from a variable', () => {
  it('is read as the type that the schema wants', () => {
    const config = good(
      `{${POOLS}, "listen": {"port": "\${PORT}"}, "policy": {"watch": "\${WATCH}"}, "limits": {"unauthenticated": {"limit": "\${MOST}", "window": "1m"}}}`,
      { PORT: '9090', WATCH: 'false', MOST: '5' },
    )
    expect(config.listen.port).toBe(9090)
    expect(config.policy.watch).toBe(false)
    expect(config.limits.unauthenticated).toEqual({ limit: 5, window: '1m' })
    expect(good(withTarget('"weight": "${W}"'), { W: '0.5' }).pools.chat?.targets[0]?.weight).toBe(0.5)
    expect(
      good(`{${POOLS}, "limits": {"unauthenticated": "\${LIMITED}"}}`, { LIMITED: 'false' }).limits
        .unauthenticated,
    ).toBe(false)
  })

  it('is read so in a pool whose name is a number', () => {
    const config = good(
      '{"pools": {"007": {"models": ["a"], "targets": [{"url": "http://a", "weight": "${W}"}]}}}',
      { W: '2' },
    )
    expect(config.pools['007']?.targets[0]?.weight).toBe(2)
  })

  it('stays a string where one is wanted', () => {
    expect(good(withTarget('"apiKey": "${KEY}"'), { KEY: '12345' }).pools.chat?.targets[0]?.apiKey).toBe(
      '12345',
    )
  })

  it.each(['', 'abc', '8080x', '0x10', '1e3', ' 8080', '80.5'])(
    'is refused when it is %j and a port is wanted',
    PORT => {
      expect(bad(`{${POOLS}, "listen": {"port": "\${PORT}"}}`, { PORT })).toMatchObject([
        { code: 'config_invalid' },
      ])
    },
  )

  it('is judged after it was read: a number too large is still too large', () => {
    expect(bad(`{${POOLS}, "listen": {"port": "\${PORT}"}}`, { PORT: '70000' })).toMatchObject([
      { code: 'config_invalid' },
    ])
  })
})

describe('a finding', () => {
  /** A config is often read where its findings are shown to many: a CI log. */
  const SECRET = 'hunter2-hunter2-hunter2'

  it.each([
    ['of the wrong type', `{${POOLS}, "listen": {"port": "\${S}"}}`],
    ['outside an enum', `{${POOLS}, "store": {"engine": "\${S}"}}`],
    ['that misses a pattern', `{${POOLS}, "listen": {"drain": "\${S}"}}`],
    ['that fits no branch', `{${POOLS}, "limits": {"unauthenticated": "\${S}"}}`],
    ['that is no URL', '{"pools": {"chat": {"models": ["a"], "targets": [{"url": "${S}"}]}}}'],
    [
      'that stands twice',
      '{"pools": {"chat": {"models": ["${S}", "${S}"], "targets": [{"url": "http://a"}]}}}',
    ],
    ['that is no constant', `{${POOLS}, "audit": {"sinks": [{"type": "\${S}"}]}}`],
  ])('never holds the value of a variable %s', (_what, text) => {
    const findings = bad(text, { S: SECRET })
    expect(findings.length).toBeGreaterThan(0)
    expect(JSON.stringify(findings)).not.toContain(SECRET)
  })

  it('never holds a secret that was written into the file itself', () => {
    expect(JSON.stringify(bad(`{${POOLS}, "admin": {"port": "hunter2"}}`))).not.toContain('hunter2')
    expect(JSON.stringify(bad(`{${POOLS}, "audit": {"maskKey": "hunter2"}}`))).not.toContain('hunter2')
  })
})

describe('values that are each right and wrong together', () => {
  it.each(['0.0.0.0', '::', '10.0.0.5', 'gateway.example'])('an admin listener on %s needs a token', host => {
    const findings = bad(`{${POOLS},\n"admin": {"host": "${host}"}}`)
    expect(findings).toMatchObject([{ code: 'admin_without_token', line: 2 }])
    good(`{${POOLS}, "admin": {"host": "${host}", "token": "0123456789abcdef"}}`)
  })

  it.each(['127.0.0.1', 'localhost', '::1'])('an admin listener on %s needs none', host => {
    good(`{${POOLS}, "admin": {"host": "${host}"}}`)
  })

  it('a target stands once in a pool: twice would count everything twice', () => {
    const findings = bad(
      '{"pools": {"chat": {"models": ["a"], "targets": [{"url": "http://a"},\n{"url": "http://a/"}]}}}',
    )
    expect(findings).toMatchObject([{ code: 'duplicate_target', line: 2 }])
  })

  it('a target may serve two pools', () => {
    good(
      '{"pools": {"x": {"models": ["a"], "targets": [{"url": "http://a"}]}, "y": {"models": ["b"], "targets": [{"url": "http://a"}]}}}',
    )
  })

  it('a window longer than a timer can hold is refused: it would be no limit', () => {
    expect(bad(`{${POOLS}, "limits": {"unauthenticated": {"limit": 1, "window": "25d"}}}`)).toMatchObject([
      { code: 'window_too_long' },
    ])
    good(`{${POOLS}, "limits": {"unauthenticated": {"limit": 1, "window": "24d"}}}`)
  })

  it('a time-out longer than a timer can hold is refused: it would fire at once', () => {
    expect(bad(`{${POOLS}, "listen": {"timeouts": {"idle": "30d"}}}`)).toMatchObject([
      { code: 'timeout_too_long' },
    ])
    good(`{${POOLS}, "listen": {"timeouts": {"idle": "24d"}}}`)
  })
})

describe('the source of a policy', () => {
  it('may be a URL, which stays as it is', () => {
    for (const url of [
      'https://policies.example/b.tar.gz',
      'http://127.0.0.1:9/b.tar.gz',
      'http://[::1]:9/b',
    ]) {
      expect(good(`{"policy": {"path": "${url}"}, ${POOLS}}`).policy.path).toBe(url)
    }
  })

  it.each([
    ['http://policies.example/b.tar.gz', 'insecure_url'],
    ['http://127.0.0.1.example/b.tar.gz', 'insecure_url'],
    ['https://', 'invalid_url'],
  ])('is not %s: %s', (url, code) => {
    expect(bad(`{"policy": {"path": "${url}"}, ${POOLS}}`)).toMatchObject([{ code }])
    expect(bad(`{"policy": {"candidate": {"path": "${url}"}}, ${POOLS}}`)).toMatchObject([{ code }])
  })

  it('has keys in one file or several, relative to the config', () => {
    const keys = (files: string) =>
      good(`{"policy": {"signature": {"required": true, "publicKeyFile": ${files}}}, ${POOLS}}`).policy
        .signature.publicKeyFile
    expect(keys('"a.pub"')).toEqual([path.join(FOLDER, 'a.pub')])
    expect(keys('["a.pub", "b.pub"]')).toEqual([path.join(FOLDER, 'a.pub'), path.join(FOLDER, 'b.pub')])
  })

  it('cannot be told from another where signatures are required without a key', () => {
    expect(bad(`{"policy": {"signature": {"required": true}}, ${POOLS}}`)).toMatchObject([
      { code: 'signature_without_key', message: expect.stringContaining('policy.signature.publicKeyFile') },
    ])
    expect(bad(`{"policy": {"signature": {"publicKeyFile": []}}, ${POOLS}}`)).toMatchObject([
      { code: 'config_invalid' },
    ])
  })
})

describe('loadConfig', () => {
  it('reads a real file, with paths and files relative to its folder', () => {
    const folder = temporaryFolder({
      'conf/gateway.config.json': `{${POOLS}, "admin": {"token": "\${file:token}"}, "audit": {"sinks": [{"type": "file", "path": "../audit.jsonl"}]}}`,
      'conf/token': '0123456789abcdef\n',
    })
    const { config, findings } = loadConfig(path.join(folder, 'conf/gateway.config.json'), {})
    expect(findings).toEqual([])
    expect(config?.admin.token).toBe('0123456789abcdef')
    expect(config?.policy.path).toBe(path.join(folder, 'conf/policies'))
    expect(config?.audit.sinks[0]).toMatchObject({ path: path.join(folder, 'audit.jsonl'), sync: '1s' })
  })

  it('leaves an absolute path as it is', () => {
    const folder = temporaryFolder({
      'c.json': `{${POOLS}, "policy": {"path": "${path.resolve('/srv/policies').replaceAll('\\', '\\\\')}"}}`,
    })
    expect(loadConfig(path.join(folder, 'c.json'), {}).config?.policy.path).toBe(
      path.resolve('/srv/policies'),
    )
  })

  it('answers a file that is not there, or is a folder, with a finding', () => {
    const folder = temporaryFolder()
    expect(loadConfig(path.join(folder, 'gone.json'), {}).findings).toMatchObject([
      { code: 'config_unreadable', line: 0 },
    ])
    expect(loadConfig(folder, {}).findings).toMatchObject([{ code: 'config_unreadable' }])
  })
})
