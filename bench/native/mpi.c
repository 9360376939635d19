// Two ranks over MPI, started by mpiexec as `mpi CPU CPU FIFO`: rank 0 is the initiator, rank 1 learns from the FIFO what
// to do next, because waiting in MPI would spin, and a peer that is not asked must be quiet.
#include "harness.h"

#include <fcntl.h>
#include <mpi.h>
#include <sys/stat.h>

#define WINDOW 2

enum { READY, DATA, DONE };

static struct batch batch;
static int orders;
static pid_t pids[2];
static unsigned char* buffers[WINDOW];
static size_t buffer_bytes;
static MPI_Request requests[WINDOW];
static unsigned long sequence;
static double iterations_per_ns;
static volatile double sink;

static int is(const char* kind) { return strcmp(batch.kind, kind) == 0; }

static int computes(int rank) { return is("both") || is(rank == 0 ? "send" : "recv"); }

static void signal_peer(int peer, int tag) { MPI_Send(NULL, 0, MPI_BYTE, peer, tag, MPI_COMM_WORLD); }

static void await_signal(int peer, int tag) { MPI_Recv(NULL, 0, MPI_BYTE, peer, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE); }

static void check(uint64_t sent, uint64_t received) {
  if (sent == received) return;
  fprintf(stderr, "Error: another answer than asked for\n");
  MPI_Abort(MPI_COMM_WORLD, 1);
}

// The first and the last byte say which message it is.
static void mark(unsigned char* body, unsigned long i) { body[0] = body[batch.bytes - 1] = (unsigned char)i; }

static void check_mark(const unsigned char* body, unsigned long i) {
  check((unsigned char)i, body[0]);
  check((unsigned char)i, body[batch.bytes - 1]);
}

// Work, not waiting: what takes time from it makes it longer.
static void compute(double iterations) {
  double x = sink;
  for (double i = 0; i < iterations; i++) x = x * 0.999999 + i;
  sink = x;
}

static void calibrate(void) {
  const double iterations = 200000;
  double fastest = 1e18;
  for (int i = 0; i < 50; i++) {
    uint64_t started = now_ns();
    compute(iterations);
    double ns = (double)(now_ns() - started);
    if (ns < fastest) fastest = ns;
  }
  iterations_per_ns = iterations / fastest;
}

static void prepare_buffers(void) {
  if (batch.bytes <= buffer_bytes) return;
  buffer_bytes = batch.bytes;
  for (int i = 0; i < WINDOW; i++) {
    free(buffers[i]);
    buffers[i] = aligned_alloc(4096, (buffer_bytes + 4095) / 4096 * 4096);
    if (!buffers[i]) fail("aligned_alloc");
    memset(buffers[i], 1, buffer_bytes);
  }
}

// Rank 0.

static void begin(const struct batch* wanted) {
  batch = *wanted;
  prepare_buffers();
  for (int i = 0; i < WINDOW; i++) requests[i] = MPI_REQUEST_NULL;
  sequence = 0;
  if (write(orders, &batch, sizeof batch) != sizeof batch) fail("write");
  await_signal(1, READY);
}

static void prepare(void) {
  if (computes(0) || computes(1)) await_signal(1, READY);  // the receive is posted
}

static void pass(void) {
  unsigned long i = sequence++;
  if (is("bytes")) {
    mark(buffers[0], i);
    MPI_Send(buffers[0], (int)batch.bytes, MPI_BYTE, 1, DATA, MPI_COMM_WORLD);
    MPI_Recv(buffers[1], (int)batch.bytes, MPI_BYTE, 1, DATA, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    check_mark(buffers[1], i);
    return;
  }
  if (is("compute")) {
    compute((double)batch.compute_ns * iterations_per_ns);
    return;
  }
  int slot = is("bulk") ? (int)(i % WINDOW) : 0;
  MPI_Wait(&requests[slot], MPI_STATUS_IGNORE);
  mark(buffers[slot], i);
  MPI_Isend(buffers[slot], (int)batch.bytes, MPI_BYTE, 1, DATA, MPI_COMM_WORLD, &requests[slot]);
  if (is("bulk")) return;
  if (computes(0)) compute((double)batch.compute_ns * iterations_per_ns);
  MPI_Wait(&requests[slot], MPI_STATUS_IGNORE);
  await_signal(1, DONE);
}

static void drain(void) {
  if (!is("bulk")) return;
  for (int i = 0; i < WINDOW; i++) MPI_Wait(&requests[i], MPI_STATUS_IGNORE);
  await_signal(1, DONE);
}

// Rank 1.

static void echo(void) {
  for (unsigned long i = 0; i < batch.count; i++) {
    MPI_Recv(buffers[0], (int)batch.bytes, MPI_BYTE, 0, DATA, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(buffers[0], (int)batch.bytes, MPI_BYTE, 0, DATA, MPI_COMM_WORLD);
  }
}

static void post(unsigned long i) {
  if (i >= batch.count) return;
  MPI_Irecv(buffers[i % WINDOW], (int)batch.bytes, MPI_BYTE, 0, DATA, MPI_COMM_WORLD, &requests[i % WINDOW]);
}

static void take_all(void) {
  for (unsigned long i = 0; i < WINDOW; i++) post(i);
  for (unsigned long i = 0; i < batch.count; i++) {
    MPI_Wait(&requests[i % WINDOW], MPI_STATUS_IGNORE);
    check_mark(buffers[i % WINDOW], i);
    post(i + WINDOW);
  }
  signal_peer(0, DONE);
}

static void overlap(void) {
  for (unsigned long i = 0; i < batch.count; i++) {
    MPI_Irecv(buffers[0], (int)batch.bytes, MPI_BYTE, 0, DATA, MPI_COMM_WORLD, &requests[0]);
    signal_peer(0, READY);
    if (computes(1)) compute((double)batch.compute_ns * iterations_per_ns);
    MPI_Wait(&requests[0], MPI_STATUS_IGNORE);
    check_mark(buffers[0], i);
    signal_peer(0, DONE);
  }
}

static void partner(void) {
  while (read(orders, &batch, sizeof batch) == sizeof batch) {
    prepare_buffers();
    signal_peer(0, READY);
    if (is("bytes")) echo();
    else if (is("bulk")) take_all();
    else if (computes(0) || computes(1)) overlap();
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != 2 || argc != 4) {
    fprintf(stderr, "Error: started as %d ranks with %d words\n", size, argc);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  pin_child(argv[1 + rank]);  // ends with the launcher, whatever ends that
  calibrate();
  pid_t own = getpid();
  MPI_Allgather(&own, sizeof own, MPI_BYTE, pids, sizeof own, MPI_BYTE, MPI_COMM_WORLD);
  if (rank == 0 && mkfifo(argv[3], 0600) != 0) fail("mkfifo");
  MPI_Barrier(MPI_COMM_WORLD);
  orders = open(argv[3], (rank == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  if (orders < 0) fail("open");
  if (rank == 0) {
    ready(pids[0], pids[1]);
    serve(&(struct steps){.begin = begin, .prepare = prepare, .pass = pass, .drain = drain});
    close(orders);
  } else {
    partner();
  }
  MPI_Finalize();
  return 0;
}
