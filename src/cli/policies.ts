/**
 * For those who write policies: what can be asked of one before it is in force.
 */
import { existsSync } from 'node:fs'
import { configFor } from '../toolbox/config.ts'
import type { ReportFormat } from '../toolbox/output.ts'
import { type Command, type Common, choice, command, formatOption } from './command.ts'
import { percent, positiveNumber, regex, sequence, wholeNumber } from './values.ts'

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

interface BuildFlags extends Common {
  readonly output: string
  readonly revision?: string
  readonly sequence?: number
  readonly signingKey?: string
  readonly signingAlg: string
}

interface ExplainFlags extends Common {
  readonly policy?: string
  readonly decision?: string
}

const POLICY_OPTION = ['--policy <path>', "a folder of sources or a bundle, instead of the config's"] as const

const SIGNING_ALGORITHMS = ['RS', 'PS', 'ES', 'HS'].flatMap(family =>
  [256, 384, 512].map(bits => `${family}${bits}`),
)

interface ReplayFlags extends Common {
  readonly policy?: string
  readonly maxFlips: number
}

interface BenchFlags extends Common {
  readonly policy?: string
  readonly decisions: number
}

export function addPolicyCommands(program: Command): void {
  command(program, 'check', 'validate the config, type-check the policies, and warn of what hurts at a gate')
    .addOption(formatOption('github', 'junit'))
    .action(async ({ config, format }: Reporting) => {
      const { check } = await import('../toolbox/check.ts')
      await check(config, format)
    })

  command(program, 'test [path...]', "run the policies' unit tests and scenarios")
    .addOption(formatOption('github', 'junit'))
    .option('--run <regex>', 'only tests whose name matches', regex)
    .option('--coverage', 'say which lines no unit test reached')
    .option('--threshold <percent>', 'fail when less of the lines is covered', percent)
    .option('--watch', 'run again whenever something changes')
    .action(async (paths: string[], flags: TestFlags) => {
      const { test } = await import('../toolbox/test.ts')
      await test(paths, flags)
    })

  command(program, 'build [path]', 'write an OPA bundle of a policy, once its check and its tests pass')
    .addOption(formatOption())
    .requiredOption('-o, --output <file>', 'the bundle, a .tar.gz')
    .option('--revision <word>', 'its revision; a hash of its contents otherwise')
    .option('--sequence <number>', 'what tells it from an older one; SOURCE_DATE_EPOCH otherwise', sequence)
    .option('--signing-key <file>', 'a private key in PEM, or the secret of an HMAC algorithm')
    .addOption(choice('--signing-alg <name>', 'how it is signed', SIGNING_ALGORITHMS))
    .action(async (folder: string | undefined, flags: BuildFlags, self: Command) => {
      const { build } = await import('../toolbox/build.ts')
      // A folder can be built where there is no config; one that was named must be there.
      const needed = folder === undefined || self.getOptionValueSource('config') !== 'default'
      const config = needed || existsSync(flags.config) ? configFor(flags.config, flags.format) : undefined
      await build(folder ?? (config?.policy.path as string), config, flags)
    })

  command(
    program,
    'explain <file|code>',
    'what the policy decides of one request, and why; - reads stdin. Or what an error code means',
  )
    .addOption(formatOption())
    .option(...POLICY_OPTION)
    .option('--decision <id>', 'which record, in an audit log of many')
    .action(async (file: string, flags: ExplainFlags) => {
      const { explainedCode, printCode } = await import('../toolbox/explain-code.ts')
      const meant = existsSync(file) ? undefined : explainedCode(file)
      if (meant) return printCode(meant, flags.format)
      const { explain } = await import('../toolbox/explain.ts')
      await explain(file, flags)
    })

  command(program, 'replay <audit...>', 'decide recorded requests again, and say what flips')
    .addOption(formatOption())
    .option(...POLICY_OPTION)
    .option('--max-flips <number>', 'fail when more decisions flip', wholeNumber, 0)
    .action(async (logs: string[], flags: ReplayFlags) => {
      const { replay } = await import('../toolbox/replay.ts')
      await replay(logs, flags)
    })

  command(program, 'bench', 'what deciding costs with this policy on this machine')
    .addOption(formatOption())
    .option(...POLICY_OPTION)
    .option('--decisions <number>', 'how many are timed', positiveNumber, 20_000)
    .action(async (flags: BenchFlags) => {
      const { bench } = await import('../toolbox/bench.ts')
      await bench(flags)
    })
}
