/** Reads the config for a command; one that is not valid ends the command with status 2. */
import path from 'node:path'
import { loadConfig } from '../config/load.ts'
import { isUrl } from '../contract/addresses.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { CommandExit, EXIT, printFindings, type ReportFormat } from './output.ts'

export function configFor(file: string, format: ReportFormat): GatewayConfig {
  const { config, findings } = loadConfig(file)
  if (config) return config
  printFindings(findings, format)
  throw new CommandExit(EXIT.usage)
}

/** A path as a person in this folder would write it; a URL as it is. */
export function shownPath(file: string): string {
  if (isUrl(file)) return file
  const relative = path.relative(process.cwd(), file)
  return relative === '' ? '.' : relative.startsWith('..') ? file : relative
}
