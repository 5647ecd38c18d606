/**
 * How a gateway begins: its config, and itself.
 */
import { type Command, type Common, command } from './command.ts'
import { workerCount } from './values.ts'

export function addStartCommands(program: Command): void {
  command(program, 'init [dir]', 'write a working config, policies with tests, and a CI workflow').action(
    async (dir: string | undefined) => {
      const { init } = await import('../toolbox/init.ts')
      init(dir ?? '.')
    },
  )

  command(program, 'serve', 'run the gateway')
    .option('--workers <number>', 'processes that take requests, for more than one core', workerCount, 1)
    .action(async ({ config, workers }: Common & { readonly workers: number }) => {
      const { serve } = await import('../toolbox/serve.ts')
      await serve(config, workers)
    })
}
