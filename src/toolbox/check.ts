/**
 * `check`: the config, the files it leads to, then the policy: OPA's strict mode, types by the published input schema, builtins that
 * are not offered, answers of the wrong shape, and a lint for what hurts at a gate.
 */
import { statSync } from 'node:fs'
import { isUrl } from '../contract/addresses.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Finding } from '../contract/findings.ts'
import { Refused } from '../policy/activate/activation.ts'
import { lookAt } from '../policy/activate/edition.ts'
import { type LoadNeeds, load } from '../policy/activate/load.ts'
import { openWorkshop, type Workshop } from '../policy/compile/compile.ts'
import { requireOpa } from '../policy/compile/opa-command.ts'
import { isTest, readSource, type Snapshot, SourceError } from '../policy/compile/source.ts'
import { lint } from '../policy/lint/lint.ts'
import { fileFindings } from './check-files.ts'
import { configFor, shownPath } from './config.ts'
import { CommandExit, EXIT, print, printFindings, type ReportFormat } from './output.ts'
import { settingOf } from './setting.ts'

export async function check(configFile: string, format: ReportFormat): Promise<void> {
  const config = configFor(configFile, format)
  const findings = [...fileFindings(configFile, config, Date.now()), ...(await policyFindings(config))]
  if (format === 'json' || format === 'junit' || findings.length > 0) printFindings(findings, format)
  if (findings.some(({ severity }) => severity === 'error')) throw new CommandExit(EXIT.findings)
  if (format !== 'pretty') return
  const warnings =
    findings.length === 0 ? '' : `, ${findings.length} warning${findings.length > 1 ? 's' : ''}`
  print(`${shownPath(configFile)} and ${shownPath(config.policy.path)}: no errors${warnings}`)
}

async function policyFindings(config: GatewayConfig): Promise<readonly Finding[]> {
  const { path } = config.policy
  // What a server holds is checked when it is fetched.
  if (isUrl(path)) return []
  try {
    if (statSync(path).isFile()) return await bundleFindings(config)
    const snapshot = readSource(path)
    const workshop = await openWorkshop(snapshot, requireOpa(), shownPath(path))
    try {
      return await sourceFindings(snapshot, workshop, config)
    } finally {
      workshop.close()
    }
  } catch (error) {
    if (error instanceof Refused) return error.findings
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!missing && !(error instanceof SourceError)) throw error
    const message = missing ? 'there is no such file or folder' : (error as Error).message
    const finding = { code: 'unreadable_source' as const, message, file: shownPath(path), line: 0, column: 0 }
    return [{ severity: 'error', ...finding }]
  }
}

/** A bundle was checked where it was built; whether this gateway can serve it is seen here. */
async function bundleFindings(config: GatewayConfig): Promise<readonly Finding[]> {
  const { path, signature } = config.policy
  const needs = { ...loadNeeds(config), path, signature, ownTests: undefined }
  const revision = await lookAt(needs).build(async (_name, work) => work())
  revision.close()
  return []
}

async function sourceFindings(
  snapshot: Snapshot,
  workshop: Workshop,
  config: GatewayConfig,
): Promise<readonly Finding[]> {
  const { entrypoint, path } = config.policy
  const findings = await workshop.check({ strict: true })
  if (findings.length > 0) return findings
  const { bundle, findings: unbuilt } = await workshop.buildPolicy(entrypoint)
  if (!bundle) return unbuilt
  const revision = await load(bundle, snapshot.revision, loadNeeds(config), async (_name, work) => work())
  revision.close()
  const deciding = snapshot.files.filter(({ name }) => name.endsWith('.rego') && !isTest(name))
  return lint(await workshop.parse(deciding.map(({ name }) => name)), entrypoint, shownPath(path))
}

function loadNeeds(config: GatewayConfig): LoadNeeds {
  const { pools, ...setting } = settingOf(config)
  const models = Object.values(config.pools).flatMap(pool => pool.models)
  // How long it takes is for the machine that serves to say.
  return {
    ...setting,
    shown: shownPath(config.policy.path),
    maxEvaluationMs: Number.MAX_VALUE,
    models: () => models,
    pools,
  }
}
