# shellcheck shell=bash
# The modules and paths of a site, in one place: copy this file to job_scripts/env.sh, which all job scripts read first.
# bootstrap.sh --cuda writes an env.sh of its own; put module lines in front of what it wrote.

# module purge
# module load gcc/12 openmpi/4.1 cuda/12.4 cudnn/9 nccl/2.20

# The network between the nodes, where several are there and the wrong one is taken:
# export NCCL_SOCKET_IFNAME=ib0 OMPI_MCA_btl_tcp_if_include=ib0 OMPI_MCA_oob_tcp_if_include=ib0

# The program, if it is neither in PATH nor in build/release/bin; with a container, the words in front of it:
# export LDMPI="apptainer exec --nv $HOME/ldmpi.sif ldmpi"
