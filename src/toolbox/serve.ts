/**
 * `serve`: runs a gateway until it is told to stop, and follows its config file.
 */
import { statSync } from 'node:fs'
import path from 'node:path'
import { changesBetween } from '../config/changes.ts'
import { loadConfig } from '../config/load.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { createGateway, type Gateway } from '../gateway/gateway.ts'
import { createOperatorLog, LOG_LEVELS, type LogLevel, type OperatorLog } from '../telemetry/operator-log.ts'
import { watchPath } from '../watcher.ts'
import { fileFindings } from './check-files.ts'
import { configFor, shownPath } from './config.ts'
import { CommandFailure, EXIT } from './output.ts'
import { tuneEngine } from './tuning.ts'

/** A gateway, of one process or of several. */
interface Served extends Pick<Gateway, 'url' | 'adminUrl' | 'reloadPolicy' | 'stop'> {
  applyConfig(next: GatewayConfig): void | Promise<void>
}

/** @param workers - Processes that take requests; with one, this one. @returns When the gateway has stopped. */
export async function serve(file: string, workers = 1): Promise<void> {
  tuneEngine()
  const log = createOperatorLog(process.stderr, logLevel(process.env.SALLYPORT_LOG_LEVEL))
  // A file that may not grow any more is an audit failure, not the end of the process.
  process.on('SIGXFSZ', () => {})
  const config = configFor(file, 'pretty')
  if (workers > 1) refuseUnshared(config, workers)
  let gateway: Served | undefined
  let follow = (): void => {}
  // From the first moment: unhandled, this signal would end the process.
  process.on('SIGHUP', () => {
    follow()
    void gateway?.reloadPolicy()
  })
  for (const { code, file: found, message } of fileFindings(file, config, Date.now()))
    log.warn(code, { file: found, message })
  gateway = await started(file, config, log, workers)
  follow = followConfig(file, config, gateway, log)
  const watcher = watchPath(path.resolve(file), follow)
  // Before anybody knows that it runs, and may stop it.
  const stopAsked = stopSignal(log)
  log.info('listening', { url: gateway.url, admin_url: gateway.adminUrl })
  await stopAsked
  await watcher.close()
  await gateway.stop()
  log.info('stopped')
}

/** @throws CommandFailure where the config has what several processes cannot share. */
function refuseUnshared({ store, audit }: GatewayConfig, workers: number): void {
  const refuse = (why: string): never => {
    throw new CommandFailure(EXIT.usage, `--workers ${workers}: ${why}`)
  }
  if (store.engine === 'memory')
    refuse(
      'with "store": {"engine": "memory"} each worker would count limits and keep grants for itself; ' +
        'set store.engine to "sqlite" (with a path) or "redis" (with a url)',
    )
  for (const sink of audit.sinks) {
    if (sink.type === 'stdout')
      refuse('an audit sink of type "stdout" is one chain, and each worker writes its own; use a file')
    if (sink.type === 'file' && statSync(sink.path, { throwIfNoEntry: false })?.isFile() === false)
      refuse(`${shownPath(sink.path)} is no file; each worker writes a log beside it`)
  }
}

/** @throws CommandFailure */
export function logLevel(text = 'info'): LogLevel {
  const level = LOG_LEVELS.find(name => name === text)
  if (level) return level
  throw new CommandFailure(EXIT.usage, `SALLYPORT_LOG_LEVEL: expected ${LOG_LEVELS.join(', ')}`)
}

async function started(
  file: string,
  config: GatewayConfig,
  log: OperatorLog,
  workers: number,
): Promise<Served> {
  try {
    // The name that systemd has for it; beside a config that is mounted nothing can be written.
    const stateFolder =
      process.env.STATE_DIRECTORY || path.join(path.dirname(path.resolve(file)), '.sallyport')
    const options = { config, log, policyShownAs: shownPath(config.policy.path), stateFolder }
    if (workers === 1) return await createGateway(options)
    const { startPrimary } = await import('./workers.ts')
    return await startPrimary(options, workers)
  } catch (error) {
    throw new CommandFailure(EXIT.failure, `the gateway cannot start: ${(error as Error).message}`)
  }
}

/** @returns What to call when the config file may have changed. */
function followConfig(file: string, first: GatewayConfig, gateway: Served, log: OperatorLog): () => void {
  let inForce = first
  let refused = ''
  let applying: Promise<void> = Promise.resolve()
  return () => {
    applying = applying.then(follow)
  }

  async function follow(): Promise<void> {
    const { config, findings } = loadConfig(file)
    if (!config) {
      const told = JSON.stringify(findings)
      if (told !== refused) log.error('config_refused', { diagnostics: findings })
      refused = told
      return
    }
    refused = ''
    const { live, restart } = changesBetween(inForce, config)
    if (live.length + restart.length === 0) return
    try {
      await gateway.applyConfig(config)
    } catch (error) {
      const { message } = error as Error
      if (message !== refused) log.error('config_refused', { message })
      refused = message
      return
    }
    inForce = config
    log.info('config_applied', { sections: live })
    if (restart.length > 0) log.warn('config_needs_restart', { sections: restart })
  }
}

/** The first signal stops in order; the second ends at once. */
function stopSignal(log: OperatorLog): Promise<void> {
  return new Promise(resolve => {
    let asked = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(EXIT.failure)
      asked = true
      log.info('stopping', { signal })
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
