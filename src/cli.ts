#!/usr/bin/env node
/**
 * The command line: what each command takes. What it does is in `toolbox/`.
 *
 * Exit status: 0 good, 1 findings, 2 wrong usage or an invalid config, 3 a failure while running.
 */
import { existsSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { DURATION_PATTERN, parseDuration } from './contract/units.ts'
import { configFor } from './toolbox/config.ts'
import {
  CommandExit,
  CommandFailure,
  EXIT,
  endWithReader,
  type Format,
  type ReportFormat,
} from './toolbox/output.ts'
import { VERSION } from './version.ts'

const program = new Command('sallyport')
  .description('A policy-as-code gateway for small language models')
  .version(VERSION)
  .showHelpAfterError()
  .enablePositionalOptions()
  .hook('preAction', (_program, action) => {
    // A gateway goes on: what it cannot write there is a failure of its audit.
    if (action.name() !== 'serve') endWithReader()
  })

function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--config <file>', 'the config file', 'gateway.config.json')
}

const formatOption = (...more: ReportFormat[]): Option =>
  new Option('--format <form>', 'how findings are printed')
    .choices(['pretty', 'json', ...more])
    .default('pretty')

const SIGNING_ALGORITHMS = ['RS', 'PS', 'ES', 'HS'].flatMap(family =>
  [256, 384, 512].map(bits => `${family}${bits}`),
)

interface Common {
  readonly config: string
  readonly format: Format
}

command(program, 'init [dir]', 'write a working config, policies with tests, and a CI workflow').action(
  async (dir: string | undefined) => {
    const { init } = await import('./toolbox/init.ts')
    init(dir ?? '.')
  },
)

command(program, 'serve', 'run the gateway').action(async ({ config }: Common) => {
  const { serve } = await import('./toolbox/serve.ts')
  await serve(config)
})

command(program, 'check', 'validate the config, type-check the policies, and warn of what hurts at a gate')
  .addOption(formatOption('github', 'junit'))
  .action(async ({ config, format }: Reporting) => {
    const { check } = await import('./toolbox/check.ts')
    await check(config, format)
  })

interface Reporting {
  readonly config: string
  readonly format: ReportFormat
}

interface TestFlags extends Reporting {
  readonly run?: RegExp
  readonly coverage?: boolean
  readonly threshold?: number
  readonly watch?: boolean
}

command(program, 'test [path...]', "run the policies' unit tests and scenarios")
  .addOption(formatOption('github', 'junit'))
  .option('--run <regex>', 'only tests whose name matches', regex)
  .option('--coverage', 'say which lines no unit test reached')
  .option('--threshold <percent>', 'fail when less of the lines is covered', percent)
  .option('--watch', 'run again whenever something changes')
  .action(async (paths: string[], flags: TestFlags) => {
    const { test } = await import('./toolbox/test.ts')
    await test(paths, flags)
  })

interface BuildFlags extends Common {
  readonly output: string
  readonly revision?: string
  readonly sequence?: number
  readonly signingKey?: string
  readonly signingAlg: string
}

command(program, 'build [path]', 'write an OPA bundle of a policy, once its check and its tests pass')
  .addOption(formatOption())
  .requiredOption('-o, --output <file>', 'the bundle, a .tar.gz')
  .option('--revision <word>', 'its revision; a hash of its contents otherwise')
  .option('--sequence <number>', 'what tells it from an older one; SOURCE_DATE_EPOCH otherwise', sequence)
  .option('--signing-key <file>', 'a private key in PEM, or the secret of an HMAC algorithm')
  .addOption(
    new Option('--signing-alg <name>', 'how it is signed').choices(SIGNING_ALGORITHMS).default('RS256'),
  )
  .action(async (folder: string | undefined, flags: BuildFlags, self: Command) => {
    const { build } = await import('./toolbox/build.ts')
    // A folder can be built where there is no config; one that was named must be there.
    const needed = folder === undefined || self.getOptionValueSource('config') !== 'default'
    const config = needed || existsSync(flags.config) ? configFor(flags.config, flags.format) : undefined
    await build(folder ?? (config?.policy.path as string), config, flags)
  })

interface ExplainFlags extends Common {
  readonly policy?: string
  readonly decision?: string
}

const policyOption = (): Option =>
  new Option('--policy <path>', "a folder of sources or a bundle, instead of the config's")

command(program, 'explain <file>', 'what the policy decides of one request, and why; - reads stdin')
  .addOption(formatOption())
  .addOption(policyOption())
  .option('--decision <id>', 'which record, in an audit log of many')
  .action(async (file: string, flags: ExplainFlags) => {
    const { explain } = await import('./toolbox/explain.ts')
    await explain(file, flags)
  })

interface ReplayFlags extends Common {
  readonly policy?: string
  readonly maxFlips: number
}

command(program, 'replay <audit...>', 'decide recorded requests again, and say what flips')
  .addOption(formatOption())
  .addOption(policyOption())
  .option('--max-flips <number>', 'fail when more decisions flip', wholeNumber, 0)
  .action(async (logs: string[], flags: ReplayFlags) => {
    const { replay } = await import('./toolbox/replay.ts')
    await replay(logs, flags)
  })

interface BenchFlags extends Common {
  readonly policy?: string
  readonly decisions: number
}

command(program, 'bench', 'what deciding costs with this policy on this machine')
  .addOption(formatOption())
  .addOption(policyOption())
  .option('--decisions <number>', 'how many are timed', positiveNumber, 20_000)
  .action(async (flags: BenchFlags) => {
    const { bench } = await import('./toolbox/bench.ts')
    await bench(flags)
  })

const keys = program.command('keys').description('API keys')

interface KeyFlags extends Common {
  readonly principal: string
  readonly roles: string[]
  readonly team?: string
  readonly kind: string
  readonly models?: string[]
  readonly expires?: string
}

command(keys, 'create', 'make a key; its secret is shown once')
  .addOption(formatOption())
  .requiredOption('--principal <id>', 'who the key is for')
  .option('--roles <list>', 'roles, separated by commas', list, [])
  .option('--team <name>', 'the team of the principal')
  .option('--kind <word>', 'service, user, …', 'service')
  .option('--models <list>', 'the only models that it is for, separated by commas', list)
  .option('--expires <duration>', 'how long it is good for, such as 30d', duration)
  .action(async (flags: KeyFlags) => {
    const { createKey, withKeys } = await import('./toolbox/keys.ts')
    const { principal, roles, team = null, kind, models, expires } = flags
    const key = { principal, roles, team, kind, models, expires }
    await withKeys(flags, place => createKey(place, key, flags.format))
  })

command(keys, 'rotate <id>', 'make a key with the rights of another, which goes on for a while')
  .addOption(formatOption())
  .option('--overlap <duration>', 'how long the old key goes on', duration, '24h')
  .action(async (id: string, flags: Common & { readonly overlap: string }) => {
    const { rotateKey, withKeys } = await import('./toolbox/keys.ts')
    await withKeys(flags, place => rotateKey(place, id, flags.overlap, flags.format))
  })

command(keys, 'list', 'the keys and what became of them')
  .addOption(formatOption())
  .action(async (flags: Common) => {
    const { listKeys, withKeys } = await import('./toolbox/keys.ts')
    await withKeys(flags, place => listKeys(place, flags.format))
  })

command(keys, 'revoke <id>', 'end a key at once')
  .addOption(formatOption())
  .action(async (id: string, flags: Common) => {
    const { revokeKey, withKeys } = await import('./toolbox/keys.ts')
    await withKeys(flags, place => revokeKey(place, id, flags.format))
  })

interface UsageFlags {
  readonly config: string
  readonly format: 'pretty' | 'table' | 'csv' | 'json'
  readonly by: 'principal' | 'team' | 'model' | 'day'
  readonly since: string
  readonly admin?: string
}

command(program, 'usage', 'requests, tokens and cost by principal, team, model or day')
  .addOption(
    new Option('--format <form>', 'how it is printed')
      .choices(['pretty', 'table', 'csv', 'json'])
      .default('pretty'),
  )
  .addOption(
    new Option('--by <what>', 'what is summed up')
      .choices(['principal', 'team', 'model', 'day'])
      .default('principal'),
  )
  .option('--since <when>', 'the first day: 2026-01-31, or how long ago', '30d')
  .option('--admin <url>', 'the admin listener of a running gateway, asked instead of the store')
  .action(async (flags: UsageFlags) => {
    const { usage } = await import('./toolbox/usage.ts')
    await usage(flags)
  })

const audit = program.command('audit').description('the audit log')

/** The files of the config's own log. */
const auditFilesOf = ({ config, format }: Common): string[] =>
  configFor(config, format).audit.sinks.flatMap(sink => (sink.type === 'file' ? [sink.path] : []))

command(
  audit,
  'verify [file...]',
  'check that the log is what was written; without files, the configured one',
)
  .addOption(formatOption())
  .option('--public-key <file>', 'of checkpoints; may be given again', appended, [])
  .action(async (files: string[], flags: Common & { readonly publicKey: string[] }) => {
    const { auditVerify } = await import('./toolbox/audit.ts')
    await auditVerify(files.length > 0 ? [files] : auditFilesOf(flags).map(file => [file]), flags)
  })

type FilterFlags = Common & import('./toolbox/audit-filter.ts').FilterFlags

const filtered = (of: Command): Command =>
  of
    .option('--principal <id>', 'only requests of this principal')
    .option('--model <name>', 'only requests for this model')
    .option('--rule <name>', 'only what this rule decided')
    .option('--outcome <word>', 'only what ended so: completed, refused, client_closed, …')
    .option('--code <word>', 'only what was refused with this code')
    .option('--refused', 'only what was refused')
    .option('--since <moment>', 'only from then on: 2026-01-31T12:00:00Z, or 24h for the last day')
    .option('--until <moment>', 'only before then')

/** The one log that is meant, where only one can be. */
function auditFileOf(file: string | undefined, flags: Common): string {
  const [first] = file === undefined ? auditFilesOf(flags) : [file]
  if (first === undefined) throw new CommandFailure(EXIT.usage, 'the config has no sink that is a file')
  return first
}

filtered(command(audit, 'tail [file]', 'the latest requests, and with --follow those to come'))
  .addOption(formatOption())
  .option('-n, --lines <number>', 'how many', wholeNumber, 10)
  .option('-f, --follow', 'go on, over rotations')
  .action(async (file: string | undefined, flags: FilterFlags & { lines: number; follow?: boolean }) => {
    const [{ auditTail }, { filterOf }] = await Promise.all([
      import('./toolbox/audit-tail.ts'),
      import('./toolbox/audit-filter.ts'),
    ])
    await auditTail(auditFileOf(file, flags), filterOf(flags, Date.now()), flags)
  })

filtered(command(audit, 'stats [file...]', 'what it amounts to, per principal, model, rule and hour'))
  .addOption(formatOption())
  .option('--top <number>', 'how many of each are printed', positiveNumber, 20)
  .action(async (files: string[], flags: FilterFlags & { readonly top: number }) => {
    const [{ auditStats }, { filterOf }] = await Promise.all([
      import('./toolbox/audit-stats.ts'),
      import('./toolbox/audit-filter.ts'),
    ])
    const logs = files.length > 0 ? files : [auditFileOf(undefined, flags)]
    await auditStats(logs, filterOf(flags, Date.now()), flags.format, flags.top)
  })

filtered(command(audit, 'export [file...]', 'one row a request, for a spreadsheet or a database'))
  .addOption(new Option('--format <form>', 'how rows are written').choices(['csv', 'ndjson']).default('csv'))
  .option('-o, --output <file>', 'where to; standard output otherwise')
  .action(async (files: string[], flags: Omit<FilterFlags, 'format'> & ExportFlags) => {
    const [{ auditExport }, { filterOf }] = await Promise.all([
      import('./toolbox/audit-export.ts'),
      import('./toolbox/audit-filter.ts'),
    ])
    const logs = files.length > 0 ? files : [auditFileOf(undefined, { ...flags, format: 'pretty' })]
    await auditExport(logs, filterOf(flags, Date.now()), flags)
  })

interface ExportFlags {
  readonly format: 'csv' | 'ndjson'
  readonly output?: string
}

command(audit, 'keygen', 'make a key that signs checkpoints')
  .addOption(formatOption())
  .option('-o, --output <file>', 'the private key; its public half goes to FILE.pub', 'audit.key')
  .action(async (flags: Common & { readonly output: string }) => {
    const { auditKeygen } = await import('./toolbox/audit.ts')
    auditKeygen(flags.output, flags.format)
  })

interface AdminFlags extends Common {
  readonly admin?: string
}

const adminOption = (): Option =>
  new Option('--admin <url>', 'the admin listener of a running gateway; the config says where otherwise')

command(program, 'rollback [revision]', 'put an earlier revision in force that the gateway still holds')
  .addOption(formatOption())
  .addOption(adminOption())
  .action(async (revision: string | undefined, flags: AdminFlags) => {
    const { rollback } = await import('./toolbox/rollback.ts')
    await rollback(revision, flags)
  })

command(program, 'status', 'what a running gateway is doing')
  .addOption(formatOption())
  .addOption(adminOption())
  .action(async (flags: AdminFlags) => {
    const { status } = await import('./toolbox/status.ts')
    await status(flags)
  })

interface TopFlags extends Common {
  readonly admin?: string
  readonly interval: string
  readonly once?: boolean
}

command(program, 'top', 'what a running gateway is doing, live')
  .addOption(formatOption())
  .addOption(adminOption())
  .option('--interval <duration>', 'how often it is drawn again', duration, '1s')
  .option('--once', 'print it once, as where there is no terminal')
  .action(async (flags: TopFlags) => {
    const { top } = await import('./toolbox/top.ts')
    await top(flags)
  })

interface CallerFlags extends Common {
  readonly url?: string
}

const urlOption = (): Option =>
  new Option('--url <url>', 'the gateway; the config says where otherwise. The key is in SALLYPORT_KEY')

command(program, 'whoami', 'who a key is, what is granted to it, and what is left of its limits')
  .addOption(formatOption())
  .addOption(urlOption())
  .action(async (flags: CallerFlags) => {
    const { whoami } = await import('./toolbox/whoami.ts')
    await whoami(flags)
  })

const access = program.command('access').description('just-in-time access, against a running gateway')

interface AskFlags extends CallerFlags {
  readonly models: string[]
  readonly roles: string[]
  readonly duration: string
  readonly reason: string
  readonly ticket?: string
  readonly notBefore?: string
  readonly emergency?: boolean
  readonly token?: boolean
  readonly wait?: boolean
}

command(access, 'request', 'ask for models or roles, for a while')
  .addOption(formatOption())
  .addOption(urlOption())
  .option('--models <list>', 'models, separated by commas', list, [])
  .option('--roles <list>', 'roles, separated by commas', list, [])
  .requiredOption('--duration <duration>', 'for how long, such as 2h', duration)
  .requiredOption('--reason <text>', 'what for')
  .option('--ticket <id>', 'what it belongs to')
  .option('--not-before <time>', 'when it is to begin, RFC 3339; at its approval otherwise')
  .option('--emergency', 'break glass: at once where the policy offers it, and marked in every record')
  .option('--token', 'with a credential that is worth this grant alone')
  .option('--wait', 'until it is decided')
  .action(async (flags: AskFlags) => {
    const { requestAccess } = await import('./toolbox/access.ts')
    const { emergency = false, token = false, wait = false } = flags
    await requestAccess({ ...flags, emergency, token, wait }, flags)
  })

command(access, 'list', 'your requests and grants, and what you may decide on')
  .addOption(formatOption())
  .addOption(urlOption())
  .option('--all', 'the grants of others too, where you may approve them')
  .action(async (flags: CallerFlags & { readonly all?: boolean }) => {
    const { listAccess } = await import('./toolbox/access.ts')
    await listAccess(flags.all ?? false, flags)
  })

interface CommentFlags extends CallerFlags {
  readonly comment?: string
}

for (const word of ['approve', 'deny'] as const) {
  command(access, `${word} <request>`, `${word} what somebody asked for`)
    .addOption(formatOption())
    .addOption(urlOption())
    .option('--comment <text>', 'why')
    .action(async (id: string, flags: CommentFlags) => {
      const { decideAccess } = await import('./toolbox/access.ts')
      await decideAccess(id, word, flags.comment, flags)
    })
}

for (const [word, description] of [
  ['revoke', 'end the grant of somebody else at once'],
  ['return', 'give a grant of your own back'],
] as const) {
  command(access, `${word} <grant>`, description)
    .addOption(formatOption())
    .addOption(urlOption())
    .option('--comment <text>', 'why')
    .action(async (id: string, flags: CommentFlags) => {
      const { endAccess } = await import('./toolbox/access.ts')
      await endAccess(id, flags.comment, flags)
    })
}

command(
  access,
  'report [audit...]',
  'who had what, when, on whose word, and what was used; from the audit log',
)
  .addOption(formatOption())
  .option('--since <duration>', 'how far back', duration, '90d')
  .action(async (files: string[], flags: Common & { readonly since: string }) => {
    const { reportAccess } = await import('./toolbox/access-report.ts')
    const logs = files.length > 0 ? files : auditFilesOf(flags)
    await reportAccess(parseDuration(flags.since), logs, flags.format)
  })

function sequence(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('expected a number')
  return Number(text)
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('expected a whole number')
  return Number(text)
}

function positiveNumber(text: string): number {
  const number = wholeNumber(text)
  if (number === 0 || number > 10_000_000)
    throw new InvalidArgumentError('expected a number from 1 to 10000000')
  return number
}

function appended(text: string, before: string[]): string[] {
  return [...before, text]
}

function list(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

function duration(text: string): string {
  if (!new RegExp(DURATION_PATTERN).test(text))
    throw new InvalidArgumentError('expected a duration such as 30d or 12h')
  return text
}

function regex(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function percent(text: string): number {
  const value = Number(text)
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError('expected a number from 0 to 100')
  return value
}

function exitStatusOf(error: unknown): number {
  if (error instanceof CommandExit) return error.status
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage
  const failure =
    error instanceof CommandFailure
      ? error
      : new CommandFailure(EXIT.failure, String((error as Error)?.message ?? error))
  process.stderr.write(`sallyport: ${failure.message}\n`)
  return failure.status
}

/** Commander ends the process itself unless each command is told not to. */
function throwInsteadOfExit(of: Command): void {
  of.exitOverride()
  for (const child of of.commands) throwInsteadOfExit(child)
}

throwInsteadOfExit(program)
try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitStatusOf(error)
}
