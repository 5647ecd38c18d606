/**
 * `check`: the config, then the policy: OPA's strict mode, types by the published input schema,
 * builtins that are not offered.
 */
import { statSync } from 'node:fs'
import { isUrl } from '../contract/addresses.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Finding } from '../contract/findings.ts'
import { openWorkshop } from '../policy/compile.ts'
import { requireOpa } from '../policy/opa-command.ts'
import { readSource, SourceError } from '../policy/source.ts'
import { configFor, shownPath } from './config.ts'
import { CommandExit, EXIT, print, printFindings, type ReportFormat } from './output.ts'

export async function check(configFile: string, format: ReportFormat): Promise<void> {
  const config = configFor(configFile, format)
  const findings = await policyFindings(config)
  if (format === 'json' || findings.length > 0) printFindings(findings, format)
  if (findings.some(finding => finding.severity === 'error')) throw new CommandExit(EXIT.findings)
  if (format === 'pretty') print(`${shownPath(configFile)} and ${shownPath(config.policy.path)}: no errors`)
}

async function policyFindings({ policy }: GatewayConfig): Promise<readonly Finding[]> {
  const shown = shownPath(policy.path)
  try {
    // A bundle was checked where it was built.
    if (isUrl(policy.path) || statSync(policy.path).isFile()) return []
    const workshop = await openWorkshop(readSource(policy.path), requireOpa(), shown)
    try {
      const findings = await workshop.check({ strict: true })
      return findings.length > 0 ? findings : (await workshop.build(policy.entrypoint)).findings
    } finally {
      workshop.close()
    }
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!missing && !(error instanceof SourceError)) throw error
    const message = missing ? 'there is no such file or folder' : (error as Error).message
    return [{ severity: 'error', code: 'unreadable_source', message, file: shown, line: 0, column: 0 }]
  }
}
