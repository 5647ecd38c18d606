import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { startTinySlm } from '../examples/tiny-slm/server.ts'
import { chat, newFolder, prepare, runCommand, startGateway, stopAll } from './support/gateway.ts'
import { mayMount } from './support/mount.ts'

const read = (name: string): string => readFileSync(name, 'utf8')

// biome-ignore lint/suspicious/noExplicitAny: manifests are looked at wherever a rule needs it
type Manifest = any

const FOLDER = 'deploy/kubernetes'
const MANIFESTS: Manifest[] = readdirSync(FOLDER).flatMap(name =>
  parseAllDocuments(read(path.join(FOLDER, name))).map(document => {
    expect(document.errors).toEqual([])
    return document.toJS()
  }),
)
const one = (kind: string, name?: string): Manifest =>
  MANIFESTS.find(item => item.kind === kind && (name === undefined || item.metadata.name === name))

/** What can be seen without a cluster; docs/operating.md says what cannot. */
describe('the manifests for Kubernetes', () => {
  afterEach(stopAll)
  const set = one('StatefulSet')
  const pod = set.spec.template.spec
  const [container] = pod.containers

  it('are of kinds and versions that a cluster of today has, each with a name', () => {
    expect(MANIFESTS.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`).sort()).toEqual([
      'apps/v1 StatefulSet',
      'autoscaling/v2 HorizontalPodAutoscaler',
      'networking.k8s.io/v1 NetworkPolicy',
      'policy/v1 PodDisruptionBudget',
      'v1 ConfigMap',
      'v1 ConfigMap',
      'v1 Secret',
      'v1 Service',
    ])
    for (const { metadata } of MANIFESTS) expect(metadata.name).toMatch(/^[a-z-]+$/)
  })

  it('select the pods that they mean', () => {
    const { labels } = set.spec.template.metadata
    expect(labels).toMatchObject(set.spec.selector.matchLabels)
    expect(labels).toMatchObject(one('Service').spec.selector)
    expect(labels).toMatchObject(one('PodDisruptionBudget').spec.selector.matchLabels)
    expect(labels).toMatchObject(one('NetworkPolicy').spec.podSelector.matchLabels)
    expect(one('HorizontalPodAutoscaler').spec.scaleTargetRef.name).toBe(set.metadata.name)
    expect(one('PodDisruptionBudget').spec.minAvailable).toBeLessThan(set.spec.replicas)
  })

  it('name ports, volumes and objects that are there', () => {
    const ports = container.ports.map(({ name }: Manifest) => name)
    for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'])
      expect(ports).toContain(container[probe].httpGet.port)
    for (const { targetPort } of one('Service').spec.ports) expect(ports).toContain(targetPort)
    const volumes = [
      ...pod.volumes,
      ...set.spec.volumeClaimTemplates.map(({ metadata }: Manifest) => metadata),
    ]
    const names = volumes.map(({ name }: Manifest) => name)
    for (const { name } of container.volumeMounts) expect(names).toContain(name)
    for (const { configMap, secret } of pod.volumes) {
      if (configMap) expect(one('ConfigMap', configMap.name)).toBeDefined()
      if (secret) expect(one('Secret', secret.secretName)).toBeDefined()
    }
  })

  it('give the gateway no more than it needs', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(pod.automountServiceAccountToken).toBe(false)
    expect(container.resources.limits.memory).toBeDefined()
  })

  it('mount the policy as a whole folder, as its changes would not arrive otherwise', () => {
    const [mount] = container.volumeMounts.filter(({ name }: Manifest) => name === 'policy')
    expect(mount.subPath).toBeUndefined()
  })

  it('hold a config and a policy that check finds nothing wrong with', async () => {
    const folder = newFolder()
    const at = (name: string): string => path.join(folder, name)
    for (const name of ['policy', 'secrets']) mkdirSync(at(name))
    for (const [name, text] of Object.entries<string>(one('ConfigMap', 'sallyport-policy').data))
      writeFileSync(at(`policy/${name}`), text)
    for (const [name, text] of Object.entries<string>(one('Secret').stringData))
      writeFileSync(at(`secrets/${name}`), text, { mode: 0o600 })
    const text = String(one('ConfigMap', 'sallyport-config').data['gateway.config.json'])
    const drain = Number(/"drain": "(\d+)s"/.exec(text)?.[1])
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(drain + 5)
    writeFileSync(at('gateway.config.json'), text.replaceAll('/etc/sallyport', folder))
    const { code, stdout } = await runCommand(['check', '--format', 'json'], { cwd: folder })
    expect([code, JSON.parse(stdout)]).toEqual([0, { findings: [] }])
  })
})

describe('the image', () => {
  const dockerfile = read('Dockerfile')

  it('runs without privileges, is asked how it is, and stops as it should', () => {
    expect(dockerfile).toMatch(/^USER 65532:65532$/m)
    expect(dockerfile).toMatch(/^HEALTHCHECK /m)
    expect(dockerfile).toMatch(/^STOPSIGNAL SIGTERM$/m)
    expect(dockerfile).toMatch(/^ENTRYPOINT \["node"/m)
  })

  it('is built from files that are there, and that Docker is shown', () => {
    const shown = read('.dockerignore')
      .split('\n')
      .filter(line => line.startsWith('!'))
      .map(line => line.slice(1))
    for (const [, names = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm))
      for (const name of names.split(' ')) {
        expect(existsSync(name)).toBe(true)
        expect(shown).toContain(name)
      }
  })
})

/** No container is needed to take away what an image takes away: a namespace of mounts, and another user. */
const AS_IN_THE_IMAGE = [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
  [
    'set -e',
    'mount --bind "$STATE_DIRECTORY" "$STATE_DIRECTORY"',
    'mount -t tmpfs tmpfs "$TMPDIR"',
    'mount -o remount,bind,ro /',
    'cd "$STATE_DIRECTORY"',
    'exec setpriv --reuid 65532 --regid 65532 --clear-groups --bounding-set=-all --no-new-privs "$0" "$@"',
  ].join('\n'),
]

describe('a gateway as the image runs it', () => {
  afterEach(stopAll)

  it('serves, keeps its log and answers its health check, where it has no privileges and may write nothing else', async () => {
    if (!mayMount()) {
      console.warn('no mounts here: a read-only root is not tested')
      expect(process.env.SALLYPORT_REQUIRE_MOUNTS).toBeUndefined()
      return
    }
    const model = await startTinySlm()
    const site = newFolder()
    const state = path.join(site, 'state')
    mkdirSync(state, { mode: 0o700 })
    chownSync(state, 65532, 65532)
    chmodSync(site, 0o755)
    const temporary = path.join(site, 'tmp')
    mkdirSync(temporary)
    const keys = prepare(site, {
      targets: [model.url],
      config: {
        policy: { path: path.join(site, 'policies') },
        identity: { apiKeys: { file: path.join(site, 'keys.json') } },
        audit: { sinks: [{ type: 'file', path: path.join(state, 'audit.jsonl') }] },
        store: { engine: 'sqlite', path: path.join(state, 'store.db') },
      },
    })
    const gateway = await startGateway({
      folder: site,
      configFile: path.join(site, 'gateway.config.json'),
      within: AS_IN_THE_IMAGE,
      env: { STATE_DIRECTORY: state, TMPDIR: temporary, NODE_ENV: 'production' },
    })
    const proc = `/proc/${gateway.process.pid}`
    expect(read(`${proc}/status`)).toMatch(/^Uid:\t65532\t65532/m)
    expect(read(`${proc}/status`)).toMatch(/^CapEff:\t0+$/m)
    expect(read(`${proc}/mountinfo`)).toMatch(/^\S+ \S+ \S+ \S+ \/ ro/m)
    const answer = await chat({ ...gateway, keys })
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
    expect(read(path.join(state, 'audit.jsonl')).trim().split('\n').length).toBeGreaterThan(2)
    expect(readdirSync(state)).toContain('store.db')

    const [, check = '[]'] = /^HEALTHCHECK[^\n]*\n\s+CMD (\[.*\])$/m.exec(read('Dockerfile')) ?? []
    const words = (JSON.parse(check) as string[]).map(word =>
      word.replace('http://127.0.0.1:8081', gateway.adminUrl),
    )
    expect(words.join(' ')).toContain(`${gateway.adminUrl}/healthz`)
    execFileSync(words[0] as string, words.slice(1))
    expect(await gateway.stop()).toBe(0)
    expect(() => execFileSync(words[0] as string, words.slice(1), { stdio: 'ignore' })).toThrow()
    await model.close()
  })
})

describe('the unit for systemd', () => {
  const unit = read('deploy/systemd/sallyport.service')

  it('reloads by SIGHUP, stops in time for what runs, and does not retry a config that is wrong', () => {
    expect(unit).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/m)
    expect(unit).toMatch(/^TimeoutStopSec=40s$/m)
    expect(unit).toMatch(/^RestartPreventExitStatus=2$/m)
  })

  it('has no line that systemd does not understand, where systemd is there to say', () => {
    let told = ''
    try {
      execFileSync('systemd-analyze', ['--version'], { stdio: 'ignore' })
    } catch {
      return
    }
    try {
      told = execFileSync('systemd-analyze', ['verify', 'deploy/systemd/sallyport.service'], {
        stdio: 'pipe',
      }).toString()
    } catch (error) {
      told = String((error as { stderr?: Buffer }).stderr)
    }
    expect(told.split('\n').filter(line => /Unknown|Invalid|Failed to parse/i.test(line))).toEqual([])
  })
})
