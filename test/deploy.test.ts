import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { newFolder, runCommand, stopAll } from './support/gateway.ts'

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
