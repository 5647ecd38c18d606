import { once } from 'node:events'
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Authority, authority } from '../support/certificates.ts'
import {
  newFolder,
  prepare,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

interface Listener {
  config(tls: object): Readonly<Record<string, object>>
  portOf(gateway: RunningGateway): string
  /** Who asks, at this path. */
  token(gateway: RunningGateway): string
  readonly path: string
}

describe('TLS', () => {
  let folder: string
  let servers: Authority
  beforeEach(() => {
    folder = newFolder()
    servers = authority(folder, 'servers')
    for (const [leaf, name] of [
      ['one', 'one.example'],
      ['two', '*.two.example'],
    ] as const)
      servers.issue(leaf, `/CN=${leaf}`, [`DNS:${name}`], { usage: 'serverAuth' })
  })
  afterEach(stopAll)

  const TOKEN = 'a-token-of-the-operator'

  const TLS = {
    certFile: 'one.crt',
    keyFile: 'one.key',
    certificates: [{ certFile: 'two.crt', keyFile: 'two.key' }],
  }

  describe.each<[string, Listener]>([
    [
      'the public listener',
      {
        config: tls => ({ listen: { tls } }),
        portOf: ({ url }) => new URL(url).port,
        token: ({ keys }) => String(keys.dev),
        path: '/-/whoami',
      },
    ],
    [
      'the admin listener',
      {
        config: tls => ({ admin: { token: TOKEN, tls } }),
        portOf: ({ adminUrl }) => new URL(adminUrl).port,
        token: () => TOKEN,
        path: '/status',
      },
    ],
  ])('of %s', (_name, listener) => {
    const start = (tls: object = {}): Promise<RunningGateway> =>
      startGateway({
        folder,
        keys: [{ principal: 'dev' }],
        config: listener.config({ ...TLS, ...tls }),
      })

    async function secured(gateway: RunningGateway, options: ConnectionOptions = {}): Promise<TLSSocket> {
      const socket = connect({
        port: Number(listener.portOf(gateway)),
        host: '127.0.0.1',
        ca: readFileSync(servers.file, 'utf8'),
        servername: 'one.example',
        ...options,
      })
      await once(socket, 'secureConnect')
      socket.on('error', () => {})
      return socket
    }

    async function asked(socket: TLSSocket, gateway: RunningGateway): Promise<string> {
      const { path, token } = listener
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token(gateway)}\r\n\r\n`,
      )
      return String((await once(socket, 'data'))[0])
    }

    it('shows each client the certificate for the name it asks for', async () => {
      const gateway = await start()
      const shown = async (servername: string) =>
        (await secured(gateway, { servername, rejectUnauthorized: false })).getPeerCertificate().subject.CN
      expect(await shown('one.example')).toBe('one')
      expect(await shown('any.two.example')).toBe('two')
      expect(await shown('unknown.example')).toBe('one')
      expect(await shown('')).toBe('one')
    })

    it('speaks 1.2 and 1.3 with forward secrecy, and nothing older or weaker', async () => {
      const gateway = await start()
      expect((await secured(gateway)).getProtocol()).toBe('TLSv1.3')
      const older = await secured(gateway, { maxVersion: 'TLSv1.2' })
      expect(older.getCipher().name).toMatch(/^ECDHE-.*(GCM|CHACHA20)/)
      for (const options of [
        { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
        { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' },
        { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
      ] as const)
        await expect(secured(gateway, options)).rejects.toThrow()
    })

    it('agrees on http/1.1 by ALPN, and refuses who speaks nothing else than h2', async () => {
      const gateway = await start()
      expect((await secured(gateway, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('http/1.1')
      await expect(secured(gateway, { ALPNProtocols: ['h2'] })).rejects.toThrow()
    })

    it('takes new certificates without dropping a connection that stands', async () => {
      const gateway = await start()
      const standing = await secured(gateway)
      expect(await asked(standing, gateway)).toContain('200 OK')
      servers.issue('next', '/CN=next', ['DNS:one.example'], { usage: 'serverAuth' })
      copyFileSync(path.join(folder, 'next.crt'), path.join(folder, 'one.crt'))
      copyFileSync(path.join(folder, 'next.key'), path.join(folder, 'one.key'))
      await gateway.logged('tls_loaded')
      expect((await secured(gateway)).getPeerCertificate().subject.CN).toBe('next')
      expect(await asked(standing, gateway)).toContain('200 OK')
    })

    it('goes on with what it has when a new file is broken', async () => {
      const gateway = await start()
      writeFileSync(path.join(folder, 'two.crt'), 'no certificate')
      await gateway.logged('tls_refused')
      const socket = await secured(gateway, { servername: 'x.two.example' })
      expect(socket.getPeerCertificate().subject.CN).toBe('two')
    })

    it('tells browsers to stay with TLS where the config says so', async () => {
      const gateway = await start({ hsts: '365d' })
      expect(await asked(await secured(gateway), gateway)).toMatch(
        /strict-transport-security: max-age=31536000/i,
      )
      await gateway.stop('SIGKILL')
      const silent = await start()
      expect(await asked(await secured(silent), silent)).not.toMatch(/strict-transport/i)
    })
  })

  describe('check', () => {
    const found = async (tls: object): Promise<[number, string[]]> => {
      prepare(folder, { config: { listen: { tls } } })
      const { code, stdout } = await runCommand(['check', '--format', 'json'], { cwd: folder })
      const { findings } = JSON.parse(stdout) as {
        findings: { severity: string; code: string; file: string }[]
      }
      return [code, findings.map(finding => `${finding.severity} ${finding.code} ${finding.file}`)]
    }

    it('says nothing of files that are right', async () => {
      expect(await found(TLS)).toEqual([0, []])
    })

    it('names files that cannot be used', async () => {
      writeFileSync(path.join(folder, 'no.crt'), 'no certificate')
      expect(
        await found({
          certFile: 'one.crt',
          keyFile: 'two.key',
          clientCaFile: 'no.crt',
          certificates: [
            { certFile: 'gone.crt', keyFile: 'gone.key' },
            { certFile: 'no.crt', keyFile: 'one.key' },
          ],
        }),
      ).toEqual([
        1,
        [
          'error tls_key_mismatch two.key',
          'error tls_unreadable gone.crt',
          'error tls_unreadable gone.key',
          'error tls_unreadable no.crt',
          'error tls_unreadable no.crt',
        ],
      ])
    })

    it('looks at those of the admin listener and of targets too', async () => {
      const target = (port: number): object => ({
        url: `https://127.0.0.1:${port}`,
        tls: { certFile: 'one.crt', keyFile: 'two.key' },
      })
      prepare(folder, {
        config: {
          admin: { tls: { certFile: 'gone.crt', keyFile: 'two.key' } },
          pools: { chat: { models: ['tiny'], targets: [target(8), target(9)] } },
        },
      })
      chmodSync(path.join(folder, 'two.key'), 0o644)
      const { code, stdout } = await runCommand(['check', '--format', 'json'], { cwd: folder })
      const findings = JSON.parse(stdout).findings as { code: string; file: string }[]
      expect([code, findings.map(finding => `${finding.code} ${finding.file}`)]).toEqual([
        1,
        ['tls_unreadable gone.crt', 'tls_key_mismatch two.key', 'readable_by_others two.key'],
      ])
    })

    it('names certificates that are over, or soon will be', async () => {
      servers.issue('soon', '/CN=soon', [], { usage: 'serverAuth', days: 3 })
      servers.issue('past', '/CN=past', [], { usage: 'serverAuth', days: -1 })
      expect(await found({ certFile: 'soon.crt', keyFile: 'soon.key' })).toEqual([
        0,
        ['warning tls_expires_soon soon.crt'],
      ])
      expect(await found({ certFile: 'past.crt', keyFile: 'past.key' })).toEqual([
        1,
        ['error tls_expired past.crt'],
      ])
    })

    it('names files with secrets that others can read, and files that others can change', async () => {
      chmodSync(path.join(folder, 'one.key'), 0o644)
      writeFileSync(path.join(folder, 'token'), 'a-token-in-a-file-of-its-own\n')
      prepare(folder, {
        config: { listen: { tls: TLS }, admin: { token: `\${file:token}` } },
      })
      chmodSync(path.join(folder, 'keys.json'), 0o666)
      const { code, stdout } = await runCommand(['check', '--format', 'json'], { cwd: folder })
      const findings = JSON.parse(stdout).findings as { code: string; file: string }[]
      expect([code, findings.map(finding => `${finding.code} ${finding.file}`)]).toEqual([
        0,
        ['readable_by_others token', 'readable_by_others one.key', 'writable_by_others keys.json'],
      ])
      prepare(folder, { config: { admin: { token: 'a-token-in-the-config-itself' } } })
      const literal = await runCommand(['check', '--format', 'json'], { cwd: folder })
      expect(literal.stdout).toContain('readable_by_others')
      expect(literal.stdout).not.toContain('a-token-in-the-config-itself')
      prepare(folder, { config: { admin: { token: 'short' } } })
      const short = await runCommand(['check', '--format', 'json'], { cwd: folder })
      expect([short.code, short.stdout.includes('short_admin_token')]).toEqual([0, true])
      const gateway = await startGateway({
        folder,
        config: { admin: { token: 'a-token-in-the-config-itself' } },
      })
      expect(await gateway.logged('readable_by_others')).toMatchObject({ file: 'gateway.config.json' })
    })
  })
})
