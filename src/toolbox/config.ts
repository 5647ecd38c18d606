/** Reads the config for a command; one that is not valid ends the command with status 2. */
import path from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { CommandExit, EXIT, type Format, printFindings } from './output.ts'

export function configFor(file: string, format: Format): GatewayConfig {
  const { config, findings } = loadConfig(file)
  if (config) return config
  printFindings(findings, format)
  throw new CommandExit(EXIT.usage)
}

/** A path as a person in this folder would write it. */
export function shownPath(file: string): string {
  const relative = path.relative(process.cwd(), file)
  return relative === '' ? '.' : relative.startsWith('..') ? file : relative
}
