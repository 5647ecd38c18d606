/**
 * What commands are made of: the one door of `commander`, and the options that many of them take.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { EXIT, type Format, type ReportFormat } from '../toolbox/output.ts'

export type { Command }

/** What every command is told that looks at a config and prints what it found. */
export interface Common {
  readonly config: string
  readonly format: Format
}

/** Throws instead of ending the process, and so does each command that is added to it. */
export function createProgram(name: string, description: string, version: string): Command {
  return new Command(name)
    .description(description)
    .version(version)
    .showHelpAfterError()
    .enablePositionalOptions()
    .exitOverride()
}

export function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--config <file>', 'the config file', 'gateway.config.json')
}

/** An option with a closed set of values, the first of which is its default. */
export const choice = (usage: string, description: string, values: readonly string[]): Option =>
  new Option(usage, description).choices(values).default(values[0])

export const formatOption = (...more: ReportFormat[]): Option =>
  choice('--format <form>', 'how findings are printed', ['pretty', 'json', ...more])

/** What a reader of a value throws: the command is not run, and its usage is printed. */
export const invalidValue = (message: string): Error => new InvalidArgumentError(message)

/** The exit status of a command that was not run: asking for help is no mistake. Undefined for other errors. */
export function statusOfUsage(error: unknown): number | undefined {
  if (!(error instanceof CommanderError)) return undefined
  return error.exitCode === 0 ? EXIT.good : EXIT.usage
}
