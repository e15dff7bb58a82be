/* A libnvidia-ml.so.1 with two GPUs. $FAKE_NVML names a file that says how it behaves at this moment:
   empty or "ok"; "hang", then whatever asks for the utilisation never returns; "lost", then GPU 1 is gone;
   "broken", then everything fails; "none", then there is no driver. A number in $FAKE_NVML_PID holds memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { int number; } device_t;
static device_t devices[2] = {{0}, {1}};
static long calls = 0;

static int is(const char *word) {
    char said[64] = "";
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        if (!fgets(said, sizeof said, file)) said[0] = 0;
        fclose(file);
    }
    return strncmp(said, word, strlen(word)) == 0;
}

static int state(device_t *device) {
    if (is("broken")) return 999; /* unknown */
    if (device && device->number == 1 && is("lost")) return 15; /* GPU is lost */
    return 0;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return is("none") ? 9 : is("broken") ? 999 : 0; }
const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : code == 999 ? "Unknown Error" : "?"; }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = 12080; return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "570.86.10"); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **device) { *device = &devices[index]; return 0; }
int nvmlDeviceGetName(device_t *d, char *text, unsigned size) { snprintf(text, size, "Fake H%d00", d->number + 1); return 0; }
int nvmlDeviceGetUUID(device_t *d, char *text, unsigned size) { snprintf(text, size, "GPU-%d", d->number); return 0; }

typedef struct { unsigned gpu, memory; } utilization_t;
int nvmlDeviceGetUtilizationRates(device_t *d, utilization_t *found) {
    while (is("hang")) usleep(20000);
    found->gpu = 90 + d->number;
    found->memory = 40 + d->number;
    return state(d);
}

typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlDeviceGetMemoryInfo(device_t *d, memory_t *found) {
    found->total = 80ULL << 30;
    found->used = 20ULL << 30;
    found->free = 60ULL << 30;
    return state(d);
}

int nvmlDeviceGetTemperature(device_t *d, int sensor, unsigned *found) { (void)sensor; *found = 61; return state(d); }
int nvmlDeviceGetPowerUsage(device_t *d, unsigned *found) { *found = 350000; return state(d); }
int nvmlDeviceGetEnforcedPowerLimit(device_t *d, unsigned *found) { *found = 700000; return state(d); }
int nvmlDeviceGetClockInfo(device_t *d, int clock, unsigned *found) { *found = 1000 + clock; return state(d); }
int nvmlDeviceGetFanSpeed(device_t *d, unsigned *found) { (void)d; (void)found; calls++; return 3; /* not supported */ }
int nvmlDeviceGetEncoderUtilization(device_t *d, unsigned *found, unsigned *period) { *found = 5; *period = 1; return state(d); }
int nvmlDeviceGetTotalEccErrors(device_t *d, int type, int counter, unsigned long long *found) {
    (void)counter;
    *found = type == 0 ? 7 : 1;
    return state(d);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(device_t *d, unsigned long long *found) { *found = 0x24; return state(d); }
int nvmlDeviceGetPcieThroughput(device_t *d, int counter, unsigned *found) { *found = 100 * (counter + 1); return state(d); }
int nvmlDeviceGetTotalEnergyConsumption(device_t *d, unsigned long long *found) {
    static unsigned long long millijoules = 5000000;
    *found = millijoules += 1000;
    return state(d);
}

typedef struct {
    unsigned field, scope;
    long long timestamp, latency;
    unsigned type;
    int status;
    unsigned long long value;
} field_t;
int nvmlDeviceGetFieldValues(device_t *d, int count, field_t *fields) {
    static unsigned long long kib = 0;
    kib += 1024;
    for (int i = 0; i < count; i++) {
        fields[i].status = fields[i].scope == 0xFFFFFFFF ? 0 : 2;
        fields[i].value = kib;
    }
    return state(d);
}

typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;
int nvmlDeviceGetComputeRunningProcesses_v3(device_t *d, unsigned *count, process_t *found) {
    const char *pid = getenv("FAKE_NVML_PID");
    char said[32] = "";
    FILE *file = pid ? fopen(pid, "r") : NULL;
    if (file) {
        if (!fgets(said, sizeof said, file)) said[0] = 0;
        fclose(file);
    }
    unsigned there = said[0] && d->number == 0 ? 1 : 0;
    if (*count < there) {
        *count = there;
        return 7; /* insufficient size */
    }
    *count = there;
    if (there) found[0] = (process_t){(unsigned)atoi(said), 3ULL << 30, 0, 0};
    return state(d);
}
